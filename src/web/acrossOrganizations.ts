import type { Database, Transaction } from '../entities/database.ts'
import { listOrganizations, readOrganization } from '../organizations/organizations.ts'
import type { Organization } from '../organizations/organizations.ts'
import { PageRefused } from './errors.ts'
import type { Section } from './parts.ts'

/** What to type where there is no organization yet. */
export const FIRST_ORGANIZATION = './muster organization apply acme.organization.json'

/** Organizations that are asked at the same time; the rest of the connections belong to others. */
const AT_ONCE = 3

/**
 * Asks every organization by itself, or the one of key `only`, each in its own transaction; answers come in order of their keys.
 * Throws PageRefused where there is no organization of that key.
 */
export async function acrossOrganizations<Answer>(
  database: Database,
  options: { only?: string | null; section: Section },
  ask: (tx: Transaction, organization: Organization) => Promise<Answer>,
): Promise<{ organization: Organization; answer: Answer }[]> {
  const all = await listOrganizations(database)
  const asked = options.only ? all.filter(({ key }) => key === options.only) : all
  if (options.only && asked.length === 0) throw unknownOrganization(options.only, all.map(({ key }) => key), options.section)
  const answers: { organization: Organization; answer: Answer }[] = []
  for (let at = 0; at < asked.length; at += AT_ONCE) {
    const some = asked.slice(at, at + AT_ONCE).map(({ id }) =>
      database.tenant(id, async (tx) => {
        const organization = await readOrganization(tx)
        return { organization, answer: await ask(tx, organization) }
      }),
    )
    answers.push(...(await Promise.all(some)))
  }
  return answers
}

function unknownOrganization(key: string, known: readonly string[], section: Section): PageRefused {
  const advice = known.length === 0 ? 'There is none yet. Declare one.' : `Known: ${known.slice(0, 20).join(', ')}.`
  return new PageRefused(404, `There is no organization ${JSON.stringify(key)}`, advice, { section, ...(known.length === 0 ? { command: FIRST_ORGANIZATION } : {}) })
}
