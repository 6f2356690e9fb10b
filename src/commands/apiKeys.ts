import { randomBytes } from 'node:crypto'
import { createKey, listKeys, revokeKey } from '../accounts/apiKeys.ts'
import { organizationId } from '../organizations/organizations.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { bold, EXIT, inert, table, type ExitStatus } from './output.ts'

export type KeyFlags = { organization: string }

const LONGEST_NAME = 200

/** `muster keys create --organization KEY --name NAME`: makes an API key and prints it, this once. */
export function createApiKey(context: Context, { organization, name: given }: KeyFlags & { name: string }): Promise<ExitStatus> {
  const name = given.trim()
  if (name === '' || name.length > LONGEST_NAME) throw new CommandRefused('usage.name', `The name has ${name.length} characters; 1 to ${LONGEST_NAME} are allowed.`, 'Name the product that will use the key.')
  return context.with(async ({ database, operator }) => {
    const id = await organizationId(database, organization)
    const made = await database.tenant(id, (tx) => createKey(tx, name, operator, randomBytes))
    const { out } = context
    if (out.json) out.data({ key: { id: made.id, name, hint: made.hint, secret: made.key } })
    else {
      out.say(made.key)
      out.remark(bold('Keep it now: Muster has only its hash, and nobody will see it again.'))
      out.remark(`Its id is ${made.id}. docs/api.md shows how it is used; ./muster keys revoke ${made.id} --organization ${inert(organization)} makes it void.`)
    }
    return EXIT.done
  })
}

/** `muster keys list --organization KEY`: the keys by their first characters, newest first. */
export function listApiKeys(context: Context, { organization }: KeyFlags): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const lines = await database.tenant(await organizationId(database, organization), listKeys)
    const { out } = context
    const minute = (instant: string | null, otherwise: string): string => instant?.slice(0, 16).replace('T', ' ') ?? otherwise
    if (out.json) for (const line of lines) out.data(line)
    else if (lines.length === 0) out.say('No API key. ./muster keys create makes one.')
    else {
      const rows = lines.map((line) => [line.id, line.name, `${line.hint}…`, line.createdBy, minute(line.createdAt, ''), minute(line.lastUsedAt, 'not used yet'), line.revokedAt ? `revoked ${minute(line.revokedAt, '')}` : 'active'])
      for (const line of table(['id', 'name', 'key', 'made by', 'made (UTC)', 'last used (UTC)', 'state'], rows)) out.say(line)
    }
    return EXIT.done
  })
}

/** `muster keys revoke ID --organization KEY`: makes a key void, for good. */
export function revokeApiKey(context: Context, id: string, { organization }: KeyFlags): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const organizationOf = await organizationId(database, organization)
    const revoked = /^\d{1,18}$/.test(id) && (await database.tenant(organizationOf, (tx) => revokeKey(tx, id, operator)))
    if (!revoked) throw new CommandRefused('keys.unknown', `The organization ${JSON.stringify(organization)} has no key ${JSON.stringify(id)} that could be revoked.`, `./muster keys list --organization ${organization} shows those there are.`)
    if (context.out.json) context.out.data({ key: { id, revoked: true } })
    else context.out.say(`key ${id} is void; whoever uses it is refused within five seconds`)
    return EXIT.done
  })
}
