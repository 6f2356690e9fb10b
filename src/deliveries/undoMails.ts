import type { Transaction } from '../entities/database.ts'
import { IMPORT_UNDONE } from './recheck.ts'

/** Locks the mails of an import and of its users, in the order of their ids: no worker lets one leave until the transaction ends, and what left is seen. */
export async function lockMailsOf(tx: Transaction, importId: string, users: string): Promise<void> {
  await tx.query(
    `select count(*) from (select from deliveries where id in (
       select id from deliveries where import_id = $1 and user_id is not null union select d.id from deliveries d join ${users} s on s.user_id = d.user_id and s.made
     ) order by id for update) locked`,
    [importId],
  )
}

export type MailsTakenBack = { cancelled: number; heldAgain: number }

/**
 * Takes back what an import owed and what has not left: mails of its own are cancelled and their saved invitations revoked, mails that it
 * let go are held again. A worker that has one in its hands finds it gone at the fence (spec D7).
 * @param users the table of the import's users (user_id, made, before, reason). Mails of those who are made and go with the import are
 * counted, and go with them
 */
export async function takeMailsBack(tx: Transaction, importId: string, users: string): Promise<MailsTakenBack> {
  const heldAgain = await tx.run(
    `update deliveries d set state = 'held', import_id = (m.mail ->> 1)::bigint, send_at = (m.mail ->> 2)::timestamptz, reason = m.mail ->> 3, lease_token = null, lease_until = null, updated_at = now()
     from ${users} s cross join lateral jsonb_array_elements(s.before -> 'mails') as m (mail)
     where s.before ? 'mails' and d.id = (m.mail ->> 0)::bigint and d.import_id = $1 and d.release_id is null and d.state in ('scheduled', 'queued')`,
    [importId],
  )
  // What it let go and is in a release since belongs to that one.
  const open = `d.import_id = $1 and d.user_id is not null and d.state in ('held', 'scheduled', 'queued')
    and d.id not in (select (m.mail ->> 0)::bigint from ${users} s cross join lateral jsonb_array_elements(s.before -> 'mails') as m (mail) where s.before ? 'mails')`
  const goes = `exists (select from ${users} s where s.user_id = d.user_id and s.made and s.reason is null)`
  const [going] = await tx.query<{ count: number }>(`select count(*)::int as count from deliveries d where ${open} and ${goes}`, [importId])
  const cancelled = await tx.run(`update deliveries d set state = 'cancelled', reason = '${IMPORT_UNDONE}', lease_token = null, lease_until = null, updated_at = now() where ${open} and not ${goes}`, [importId])
  if (cancelled > 0) {
    await tx.run(
      `update invitations i set state = 'revoked' from deliveries d
       where d.import_id = $1 and d.purpose = 'invitation' and d.state = 'cancelled' and d.reason = '${IMPORT_UNDONE}' and i.user_id = d.user_id and i.epoch = d.epoch and i.state = 'created'`,
      [importId],
    )
  }
  return { cancelled: going!.count + cancelled, heldAgain }
}
