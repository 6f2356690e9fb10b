import type { Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import type { DeliveryWish } from '../rules/deliveryWish.ts'
import { IMPORT_DECIDED } from './recheck.ts'

/**
 * SQL over a staged row `r`: what mail a new user of the row is owed (spec D2).
 * The row's own Delivery goes before the organization's default; where credentials never go (SSO, C10), nothing is owed.
 */
export function owedPurpose(settings: Settings, wish: DeliveryWish): string {
  if (settings.login.sso || wish.kind === 'none') return 'null::text'
  return `nullif(coalesce(r.delivery, '${settings.defaults.delivery}'), 'none')`
}

/**
 * An import's checked rows, its plan of contacts (row, fate, contact_id) and of users (row, fate, user_id, purpose, send_at), and of mails
 * that earlier imports hold and this one lets go (row, delivery_id, send_at); `further` are rows of a further account of somebody.
 */
export type OwingTables = { rows: string; plan: string; users: string; held: string; further: string }

/** SQL over a planned user `p`: the state its mail begins in, and from when. The row's own Send Date wins over the import's wish. */
function beginning(wish: DeliveryWish): { state: string; sendAt: string } {
  if (wish.kind === 'now') return { state: "'scheduled'", sendAt: 'coalesce(p.send_at, now())' }
  if (wish.kind === 'at') return { state: "'scheduled'", sendAt: `coalesce(p.send_at, '${new Date(wish.instant).toISOString()}'::timestamptz)` }
  return { state: "case when p.send_at is null then 'held' else 'scheduled' end", sendAt: 'p.send_at' }
}

/**
 * Enters what the range's new users are owed into the ledger, with invitations in state created (spec D3).
 * Runs in the transaction that commits the range, after its users. A user is owed each purpose once an epoch, whatever runs twice.
 */
export async function oweDeliveries(tx: Transaction, importId: string, tables: OwingTables, range: { first: number; last: number }, wish: DeliveryWish): Promise<void> {
  const { state, sendAt } = beginning(wish)
  const owed = `from ${tables.users} p where p.row between $1 and $2 and p.fate = 'create' and p.purpose is not null`
  const bounds = [range.first, range.last]
  const made = await tx.run(
    `insert into deliveries (organization_id, user_id, import_id, purpose, state, send_at)
     select ${tx.organizationId}, p.user_id, ${importId}, p.purpose, ${state}, ${sendAt} ${owed} order by p.row on conflict (user_id, purpose, epoch) do nothing`,
    bounds,
  )
  if (made > 0) {
    await tx.run(
      `insert into invitations (organization_id, user_id, state)
       select ${tx.organizationId}, p.user_id, 'created' ${owed} and p.purpose = 'invitation' on conflict (user_id, epoch) do nothing`,
      bounds,
    )
  }
  await tx.run(
    `update deliveries d set state = 'scheduled', send_at = coalesce(h.send_at, ${letGoAt(wish)}), import_id = ${importId}, reason = null, updated_at = now()
     from ${tables.held} h where h.row between $1 and $2 and d.id = h.delivery_id and d.state = 'held' and d.release_id is null`,
    bounds,
  )
}

/** From when a held mail without a date of its own may go. */
const letGoAt = (wish: DeliveryWish): string => (wish.kind === 'at' ? `'${new Date(wish.instant).toISOString()}'::timestamptz` : 'now()')

/**
 * Plans which mails of known people the import lets go: under `--delivery now` or a date all that earlier imports hold for the people in its
 * file, otherwise those to whom a row gives a Send Date. What belongs to a release has its date there. What is confirmed is this list; a commit lets go nothing else (spec E1).
 */
export async function planHeld(tx: Transaction, tables: OwingTables, wish: DeliveryWish): Promise<void> {
  await tx.run(`drop table if exists ${tables.held}`)
  await tx.run(`create table ${tables.held} (row integer not null, delivery_id bigint not null, send_at timestamptz) with (autovacuum_enabled = off)`)
  if (wish.kind === 'none') return
  const all = wish.kind === 'now' || wish.kind === 'at'
  // Of several rows of a person, the one that speaks of the account's kind decides about its mails.
  const [several] = await tx.query<{ some: boolean }>(`select exists (select from ${tables.further}) as some`)
  const [once, first] = several!.some ? ['distinct on (d.id)', 'order by d.id, case when r.account_kind = u.account_kind then 0 when r.account_kind is null then 1 else 2 end, p.row'] : ['', '']
  const asks = `delivery is distinct from 'none' ${all ? '' : 'and send_at is not null'}`
  await tx.run(
    `insert into ${tables.held}
     select row, id, coalesce(send_at, due) from (
       select ${once} p.row, d.id, r.delivery, r.send_at, d.send_at as due from ${tables.plan} p join ${tables.rows} r on r.row = p.row
       join users u on u.contact_id = p.contact_id join deliveries d on d.user_id = u.id
       where p.fate in ('update', 'unchanged') and d.state = 'held' and d.release_id is null ${first}
     ) found where ${asks}`,
  )
}

/** What a plan owes, for people to confirm: interface.md's `deliveries` of an import. What was held for people in the file counts where it is let go. */
export async function countOwed(tx: Transaction, tables: OwingTables, wish: DeliveryWish): Promise<{ owed: number; scheduled: number; notOwed: number }> {
  const { state } = beginning(wish)
  const [row] = await tx.query<{ owed: number; scheduled: number; notOwed: number }>(
    `select count(*) filter (where p.purpose is not null)::int as owed,
       count(*) filter (where p.purpose is not null and ${state} = 'scheduled')::int as scheduled,
       count(*) filter (where p.purpose is null)::int as "notOwed"
     from ${tables.users} p where p.fate = 'create'`,
  )
  const [letGo] = await tx.query<{ count: number }>(`select count(*)::int as count from ${tables.held}`)
  return { owed: row!.owed + letGo!.count, scheduled: row!.scheduled + letGo!.count, notOwed: row!.notOwed }
}

/** What a committed import owed, counted from the ledger. `notOwed` of its new users were owed nothing. */
export async function countOwedOf(tx: Transaction, importId: string, tables: OwingTables): Promise<{ owed: number; scheduled: number; notOwed: number }> {
  const [row] = await tx.query<{ owed: number; scheduled: number; notOwed: number }>(
    `select count(*)::int as owed, count(send_at)::int as scheduled,
       (select count(*)::int from ${tables.users} where fate = 'create' and purpose is null) as "notOwed"
     from deliveries where import_id = $1 and user_id is not null`,
    [importId],
  )
  return row!
}

/**
 * Owes the operators a notice of an import, one to each address: that it is held and asks for a decision, and that it has ended (spec E2). A
 * repetition owes nothing more. A notice of a decision to be made that has not left when it was made is not sent.
 */
export async function oweSummaries(tx: Transaction, importId: string, operators: readonly string[]): Promise<void> {
  const [found] = await tx.query<{ decided: boolean }>(`select plan_hash is not null and state <> 'held' as decided from imports where id = $1`, [importId])
  const epoch = found?.decided ? 2 : 1
  if (epoch > 1) await tx.run(`update deliveries set state = 'cancelled', reason = $3, updated_at = now() where import_id = $1 and purpose = 'operatorSummary' and epoch < $2 and state = 'scheduled'`, [importId, epoch, IMPORT_DECIDED])
  await tx.run(
    `insert into deliveries (organization_id, import_id, purpose, epoch, state, send_at, recipient)
     select $1, $2, 'operatorSummary', $4, 'scheduled', now(), address from unnest($3::text[]) as address
     where not exists (select from deliveries d where d.import_id = $2 and d.purpose = 'operatorSummary' and d.epoch = $4 and d.recipient = address)`,
    [tx.organizationId, importId, operators, epoch],
  )
}
