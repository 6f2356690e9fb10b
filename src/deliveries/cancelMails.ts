import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'

/**
 * Cancels what users are owed and no worker has yet: held or scheduled -> cancelled. What a worker has in its hands meets the
 * re-check at the fence (spec D7).
 * @param purposes of these only; null: of every purpose
 * @param reason a code of OBJECTIONS
 * @returns how many
 */
export function cancelMails(tx: Transaction, userIds: readonly string[], purposes: readonly DeliveryPurpose[] | null, reason: string): Promise<number> {
  return tx.run(
    `with open as (
       select id from deliveries where user_id = any ($1::bigint[]) and state in ('held', 'scheduled') and ($2::text[] is null or purpose = any ($2)) order by id for no key update
     )
     update deliveries d set state = 'cancelled', reason = $3, lease_token = null, updated_at = now() from open where d.id = open.id and d.state in ('held', 'scheduled')`,
    [[...userIds], purposes === null ? null : [...purposes], reason],
  )
}
