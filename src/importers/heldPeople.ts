import type { Transaction } from '../entities/database.ts'
import { adoptedTable, leavingTable, planTable, rowsTable } from './stagedRow.ts'

export type HeldPerson = { contactId: string | null; externalId: string | null; name: string; email: string | null; /** The address as it is now, where the file gives another one. */ emailBefore: string | null }
/** Whom a plan is about, by what it would do to them: how many, and the first of them. Somebody can be in more than one list. */
export type HeldPeople = Record<'leaving' | 'created' | 'changedEmails' | 'reactivated' | 'updated' | 'adopted', { count: number; people: HeldPerson[] }>

/** The named list of a held file (spec A6): who would leave, be new, get another address, come back, be changed otherwise, become the feed's own. At most `limit` of each; none once the plan is gone. */
export async function heldPeople(tx: Transaction, importId: string, limit: number): Promise<HeldPeople> {
  const [plan, rows] = [planTable(importId), rowsTable(importId)]
  const [found] = await tx.query<{ plan: boolean; leaving: boolean; adopted: boolean }>('select to_regclass($1) is not null as plan, to_regclass($2) is not null as leaving, to_regclass($3) is not null as adopted', [plan, leavingTable(importId), adoptedTable(importId)])
  const none = { count: 0, people: [] }
  const ofFile = (where: string): Promise<HeldPeople['leaving']> =>
    !found!.plan
      ? Promise.resolve(none)
      : read(
          tx,
          `select p.row as at, c.id as "contactId", coalesce(r.external_id, c.external_id) as "externalId", concat_ws(' ', coalesce(r.first_name, c.first_name), coalesce(r.last_name, c.last_name)) as name, coalesce(r.email, c.email) as email,
             case when c.email_key <> r.email_key then c.email end as "emailBefore"
           from ${plan} p join ${rows} r on r.row = p.row left join contacts c on c.id = p.contact_id and p.fate <> 'create' where ${where}`,
          limit,
        )
  const ofList = (there: boolean, list: string, at: string): Promise<HeldPeople['leaving']> =>
    !there
      ? Promise.resolve(none)
      : read(tx, `select ${at} as at, c.id as "contactId", c.external_id as "externalId", concat_ws(' ', c.first_name, c.last_name) as name, c.email, null::text as "emailBefore" from ${list} l join contacts c on c.id = l.contact_id`, limit)
  // Null where either has none: then it is no other address.
  const otherAddress = 'coalesce(c.email_key <> r.email_key, false)'
  return {
    leaving: await ofList(found!.leaving, leavingTable(importId), 'l.number'),
    created: await ofFile(`p.fate = 'create'`),
    changedEmails: await ofFile(`p.fate = 'update' and ${otherAddress}`),
    reactivated: await ofFile(`p.fate = 'update' and p.reactivate`),
    updated: await ofFile(`p.fate = 'update' and not coalesce(p.reactivate, false) and not ${otherAddress}`),
    adopted: await ofList(found!.adopted, adoptedTable(importId), 'l.contact_id'),
  }
}

async function read(tx: Transaction, selection: string, limit: number): Promise<{ count: number; people: HeldPerson[] }> {
  const [counted] = await tx.query<{ count: number }>(`select count(*)::int as count from (${selection}) as listed`)
  const people = await tx.query<HeldPerson>(`select "contactId", "externalId", name, email, "emailBefore" from (${selection}) as listed order by at limit $1`, [limit])
  return { count: counted!.count, people }
}
