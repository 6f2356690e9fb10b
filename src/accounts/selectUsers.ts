import type { Transaction } from '../entities/database.ts'
import { checkEmail, emailKey } from '../rules/emails.ts'
import { CONTACT_FIELDS, CONTACT_TEXTS, filterSql, parseFilters, USER_FIELDS, USER_TEXTS, USERS, type PeopleFilter } from './filterPeople.ts'

/**
 * Which users, or contacts, are meant. `ids` and `keys` name people, and whoever is named by either is meant; of these, or of all where
 * neither is there, the filters choose, and all of them have to fit. Nothing at all means nobody; `all` everybody.
 */
export type UserSelection = {
  ids?: readonly string[] | undefined
  /** As on the command line: `field=value`, or a text to look for. */
  filters?: readonly string[] | undefined
  /** Usernames, external ids or e-mail addresses, as lines of a file; what a line is, is found out in this order. */
  keys?: readonly string[] | undefined
  all?: boolean | undefined
}

/**
 * The users that are meant, in the order of their ids, and the ids and keys that no user of the organization has.
 * A key that names a contact means all of his or her users. Throws FilterRefused.
 */
export async function selectUsers(tx: Transaction, selection: UserSelection): Promise<{ userIds: string[]; unknown: string[] }> {
  const { ids, unknown } = await select(tx, selection, {
    from: USERS, id: 'u.id', fields: USER_FIELDS, searched: USER_TEXTS,
    byKey: [
      'select k.line, u.id, 1 as rank from keys k join users u on u.username = lower(k.line)',
      'select k.line, u.id, 2 from keys k join contacts c on c.external_id = k.line join users u on u.contact_id = c.id',
      'select k.line, u.id, 3 from keys k join contacts c on c.email_key = k.email join users u on u.contact_id = c.id',
    ],
  })
  return { userIds: ids, unknown }
}

/** As selectUsers, for contacts: a key is an external id, an e-mail address, or the username of one of the contact's users. */
export async function selectContacts(tx: Transaction, selection: UserSelection): Promise<{ contactIds: string[]; unknown: string[] }> {
  const { ids, unknown } = await select(tx, selection, {
    from: 'contacts c', id: 'c.id', fields: CONTACT_FIELDS, searched: CONTACT_TEXTS,
    byKey: [
      'select k.line, c.id, 1 as rank from keys k join contacts c on c.external_id = k.line',
      'select k.line, c.id, 2 from keys k join contacts c on c.email_key = k.email',
      'select k.line, u.contact_id, 3 from keys k join users u on u.username = lower(k.line)',
    ],
  })
  return { contactIds: ids, unknown }
}

type Choosing = { from: string; id: string; fields: Parameters<typeof filterSql>[1]; searched: readonly string[]; byKey: readonly string[] }

async function select(tx: Transaction, { ids, filters = [], keys, all }: UserSelection, choosing: Choosing): Promise<{ ids: string[]; unknown: string[] }> {
  const filter: PeopleFilter = parseFilters(filters)
  const lines = [...new Set((keys ?? []).map((key) => key.trim()).filter((key) => key !== ''))]
  const named = ids === undefined && keys === undefined ? null : [...new Set((ids ?? []).filter(isId))]
  if (named === null && filters.length === 0 && !all) return { ids: [], unknown: [] }
  const byKey = lines.length === 0 ? [] : await findKeys(tx, lines, choosing)
  const { where, values } = filterSql(filter, choosing.fields, choosing.searched, 1)
  const wanted = named === null ? null : [...named, ...byKey.map(({ id }) => id)]
  const rows = await tx.query<{ id: string }>(`select ${choosing.id} as id from ${choosing.from} where ($1::bigint[] is null or ${choosing.id} = any ($1)) ${where} order by 1`, [wanted, ...values])
  const found = new Set(byKey.map(({ line }) => line))
  const missing = named === null || (ids ?? []).length === 0 ? [] : await idsOfNobody(tx, ids!, choosing)
  return { ids: rows.map(({ id }) => id), unknown: [...missing, ...lines.filter((line) => !found.has(line))] }
}

const isId = (text: string): boolean => /^\d{1,18}$/.test(text)

/** Every line with the ids that it names, by the first way in which it names somebody. */
function findKeys(tx: Transaction, lines: readonly string[], { byKey }: Choosing): Promise<{ line: string; id: string }[]> {
  const addresses = lines.map((line) => {
    const address = line.includes('@') ? checkEmail(line, () => undefined) : null
    return address === null ? null : emailKey(address)
  })
  return tx.query<{ line: string; id: string }>(
    `with keys as materialized (select * from unnest($1::text[], $2::text[]) as k (line, email)),
     met as (${byKey.join(' union all ')}),
     ranked as (select line, id, rank, min(rank) over (partition by line) as first from met)
     select distinct line, id from ranked where rank = first`,
    [lines, addresses],
  )
}

async function idsOfNobody(tx: Transaction, ids: readonly string[], { id, from }: Choosing): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(`select ${id} as id from ${from} where ${id} = any ($1::bigint[])`, [ids.filter(isId)])
  const known = new Set(rows.map((row) => row.id))
  return [...new Set(ids)].filter((one) => !isId(one) || !known.has(String(BigInt(one))))
}

/** How somebody is named in a preview. */
export type Named = { id: string; username: string; firstName: string; lastName: string; email: string | null }

/** These users by name, in the order of username; so many of them at most. */
export function nameUsers(tx: Transaction, userIds: readonly string[], limit: number): Promise<Named[]> {
  return tx.query<Named>(
    `select u.id, u.username, c.first_name as "firstName", c.last_name as "lastName", c.email
     from users u join contacts c on c.id = u.contact_id where u.id = any ($1::bigint[]) order by u.username limit $2`,
    [[...userIds], limit],
  )
}
