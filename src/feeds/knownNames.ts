import type { Transaction } from '../entities/database.ts'
import { nearestValue } from '../rules/nearest.ts'
import { FeedRefused, type FeedDefinition, type FeedFault } from './declaration.ts'

/** Something that a declaration names, and where it would have to be. Tables and conditions are ours, never input. */
type Named = { path: string; name: string; what: string; code: string; known: string; parameters?: string[]; toDo: string }

/**
 * Sees that what a feed's definition names is there: its mapping, the customer or group of its scope, its secrets. Values of attributes
 * come with files and are not asked for.
 * @param organization its key, for what people are told to do
 * @throws FeedRefused with everything that is not there
 */
export async function assertNamesKnown(tx: Transaction, organization: string, definition: FeedDefinition): Promise<void> {
  const faults: FeedFault[] = []
  for (const { path, name, what, code, known, parameters = [], toDo } of namesOf(definition, organization)) {
    const names = (await tx.query<{ name: string }>(known, parameters)).map((row) => row.name)
    if (names.includes(name)) continue
    const near = nearestValue(name, names)
    faults.push({ path, code, message: `there is no ${what} ${JSON.stringify(name)}${near === null ? '' : `; perhaps ${JSON.stringify(near)} is meant`}. ${toDo}` })
  }
  if (faults.length > 0) throw new FeedRefused(faults)
}

function namesOf({ mapping, scope, server, pgp, alerts }: FeedDefinition, organization: string): Named[] {
  return [
    ...(mapping === null ? [] : [{
      path: 'mapping', name: mapping, what: 'mapping', code: 'feed.unknown_mapping', known: 'select name from mappings order by id',
      toDo: `Save it with an import of a file of this kind: ./muster import FILE --organization ${organization} --preview --save-mapping NAME`,
    }]),
    ...placeOf(scope),
    ...secretsOf({ server, pgp, alerts }).map(({ path, name }) => ({
      path, name, what: 'secret', code: 'feed.unknown_secret', known: 'select name from feed_secrets order by name',
      toDo: `Give it: ./muster feed secret ${name} --organization ${organization}`,
    })),
  ]
}

function placeOf(scope: FeedDefinition['scope']): Named[] {
  const toDo = 'Declare it with the organization, or write it as it is declared there.'
  if (scope.kind === 'customer') return [{ path: 'scope.customer', name: scope.customer, what: 'customer', code: 'feed.unknown_customer', known: 'select name from customers where not withdrawn order by id', toDo }]
  if (scope.kind === 'group') return [{ path: 'scope.group', name: scope.group, what: 'user group', code: 'feed.unknown_group', known: 'select name from user_groups where not withdrawn order by id', toDo }]
  if (scope.kind !== 'security') return []
  const known = 'select name from security_groups where dimension = $1 and not withdrawn order by id'
  return [{ path: 'scope.group', name: scope.group, what: `security group of ${scope.dimension}`, code: 'feed.unknown_security_group', known, parameters: [scope.dimension], toDo }]
}

/** The secrets that a feed names, each with its place in the declaration. */
export function secretsOf({ server: { login }, pgp, alerts }: Pick<FeedDefinition, 'server' | 'pgp' | 'alerts'>): { path: string; name: string }[] {
  const named = 'key' in login ? { 'server.login.key': login.key, 'server.login.passphrase': login.passphrase } : { 'server.login.password': login.password }
  const all: Record<string, string | null> = { ...named, 'pgp.privateKey': pgp?.privateKey ?? null, 'pgp.passphrase': pgp?.passphrase ?? null, 'alerts.webhook.secret': alerts.webhook?.secret ?? null }
  return Object.entries(all).flatMap(([path, name]) => (name === null ? [] : [{ path, name }]))
}
