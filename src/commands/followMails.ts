import type { DeliveryPurpose, DeliveryState } from '../entities/states.ts'
import type { Transaction } from '../entities/database.ts'
import { followOwed } from './followImport.ts'
import type { Installation } from './installation.ts'
import type { Output } from './output.ts'

/** Mails of these users for one purpose. */
export type OwedMails = { purpose: DeliveryPurpose; userIds: readonly string[] }

/** SQL: the latest delivery of each of the users $1 for its purpose of $2. */
const LATEST = `select distinct on (d.user_id, d.purpose) d.state, d.send_at from unnest($1::bigint[], $2::text[]) as m (user_id, purpose)
  join deliveries d on d.user_id = m.user_id and d.purpose = m.purpose order by d.user_id, d.purpose, d.epoch desc`

const parametersOf = (mails: readonly OwedMails[]): [string[], string[]] => [mails.flatMap(({ userIds }) => [...userIds]), mails.flatMap(({ purpose, userIds }) => userIds.map(() => purpose))]

/** Waits until these mails, as far as they are due, have left or have shown that they cannot. */
export function followMails(installation: Installation, organizationId: string, mails: readonly OwedMails[], out: Output): Promise<void> {
  return followOwed(installation, organizationId, async (tx) => {
    const [row] = await tx.query<{ count: number }>(
      `select count(*)::int as count from (${LATEST}) d where (state in ('queued', 'sending') or state = 'scheduled' and send_at <= now())
         and not exists (select from service_pauses where service = 'smtp')`,
      parametersOf(mails),
    )
    return row!.count
  }, out)
}

/** How many of these mails are in each state. */
export async function countMails(tx: Transaction, mails: readonly OwedMails[]): Promise<Partial<Record<DeliveryState, number>>> {
  const rows = await tx.query<{ state: DeliveryState; count: number }>(`select state, count(*)::int as count from (${LATEST}) d group by state order by state`, parametersOf(mails))
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}
