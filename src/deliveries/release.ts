import type { Transaction } from '../entities/database.ts'
import { ACCESS_PURPOSES } from './recheck.ts'

/** Which deliveries: all of an import, or these. */
export type Selection = { importId: string } | { ids: readonly string[] }

/** A delivery that cannot be moved as asked. */
export class DeliveryRefused extends Error {
  readonly code: 'deliveries.unknown_id' | 'deliveries.wrong_state' | 'deliveries.superseded'
  constructor(code: DeliveryRefused['code'], message: string) {
    super(message)
    this.name = 'DeliveryRefused'
    this.code = code
  }
}

/**
 * Lets held deliveries go (spec D2): held -> scheduled. Those of a release are its own to let go.
 * @param sendAt not before; null: at once, or on the row's own date where it has one
 * @returns how many
 */
export function releaseHeld(tx: Transaction, { sendAt, ...selection }: Selection & { sendAt: Date | null }): Promise<number> {
  return tx.run(
    `update deliveries set state = 'scheduled', send_at = coalesce(send_at, $3, now()), reason = null, updated_at = now()
     where state = 'held' and release_id is null and (import_id = $1 or id = any ($2::bigint[]))`,
    ['importId' in selection ? selection.importId : null, 'ids' in selection ? [...selection.ids] : [], sendAt],
  )
}

/**
 * A person's decision about a delivery whose end is unknown (spec D7). `sent`: it counts as sent. `not-sent`: it is sent again
 * at once, as a new epoch with a new secret, and the attempts are counted anew; refused where the person was mailed or is owed another since.
 * @param operator who decided; kept in the ledger
 */
export async function resolve(tx: Transaction, id: string, how: 'sent' | 'not-sent', operator: string): Promise<void> {
  await lockUser(tx, id)
  await mustBe(tx, id, ['unknown'])
  if (how === 'not-sent') await assertLatest(tx, id)
  await note(tx, id, `resolved as ${how} by ${operator}`)
  if (how === 'sent') {
    await tx.run(
      `update deliveries set state = 'sent', reason = $2, lease_token = null, sent_at = (select started_at from delivery_attempts where delivery_id = $1 order by number desc limit 1), updated_at = now()
       where id = $1`,
      [id, `resolved_sent: ${operator}`],
    )
  } else await scheduleAnew(tx, id, `resolved_not_sent: ${operator}`)
}

/**
 * Has a failed or bounced delivery sent again at once, as a new epoch with a new secret. Never for an unknown one: that is
 * resolved first; nor where the person was mailed or is owed another since.
 */
export async function retry(tx: Transaction, id: string, operator: string): Promise<void> {
  await lockUser(tx, id)
  await mustBe(tx, id, ['failed', 'bounced'])
  await assertLatest(tx, id)
  await note(tx, id, `retried by ${operator}`)
  await scheduleAnew(tx, id, `retried: ${operator}`)
}

/** Whoever owes the person something at this moment is waited for. Before the delivery, as everybody locks in this order. */
async function lockUser(tx: Transaction, id: string): Promise<void> {
  if (/^\d{1,18}$/.test(id)) await tx.run('select from users where id = (select user_id from deliveries where id = $1) for no key update', [id])
}

const ACCESS = ACCESS_PURPOSES.map((purpose) => `'${purpose}'`).join(', ')

/** Nobody gets the same thing twice, or access by two ways: refuses what another mail has followed, or is to follow. */
async function assertLatest(tx: Transaction, id: string): Promise<void> {
  const [later] = await tx.query<{ id: string; purpose: string; state: string }>(
    `select e.id, e.purpose, e.state from deliveries d join deliveries e on e.user_id = d.user_id and e.id <> d.id
     where d.id = $1 and (e.purpose = d.purpose and e.epoch > d.epoch and e.state in ('held', 'scheduled', 'queued', 'sending', 'sent', 'unknown')
       or d.purpose in (${ACCESS}) and e.purpose in (${ACCESS}) and e.purpose <> d.purpose and e.state in ('held', 'scheduled', 'queued', 'sending'))
     order by e.id desc limit 1`,
    [id],
  )
  if (later) throw new DeliveryRefused('deliveries.superseded', `Delivery ${id} was followed by another one: delivery ${later.id} (${later.purpose}) is ${later.state}. ./muster users send sends a new one.`)
}

async function mustBe(tx: Transaction, id: string, states: readonly string[]): Promise<void> {
  const known = /^\d{1,18}$/.test(id) ? await tx.query<{ state: string }>('select state from deliveries where id = $1 for update', [id]) : []
  const state = known[0]?.state
  if (state === undefined) throw new DeliveryRefused('deliveries.unknown_id', `There is no delivery ${JSON.stringify(id)}.`)
  if (!states.includes(state)) throw new DeliveryRefused('deliveries.wrong_state', `Delivery ${id} is ${state}. Only one that is ${states.join(' or ')} can be ${states[0] === 'unknown' ? 'resolved' : 'sent again'}.`)
}

/** Operators' decisions stand on the last attempt, after whatever the server said. */
function note(tx: Transaction, id: string, words: string): Promise<number> {
  return tx.run(
    `update delivery_attempts set response = concat_ws('; ', response, $2::text)
     where delivery_id = $1 and number = (select max(number) from delivery_attempts where delivery_id = $1)`,
    [id, words],
  )
}

/** Due at once. Out of a release that was cancelled, it leaves by itself: there it never would. */
function scheduleAnew(tx: Transaction, id: string, reason: string): Promise<number> {
  return tx.run(
    `update deliveries d set state = 'scheduled', send_at = now(), reason = $2, attempts = 0, message_id = null, lease_token = null, updated_at = now(),
       release_id = (select r.id from releases r where r.id = d.release_id and r.state <> 'cancelled'),
       first_wave = d.first_wave and exists (select from releases r where r.id = d.release_id and r.state <> 'cancelled'),
       epoch = (select max(epoch) + 1 from deliveries other where other.id = d.id or (other.user_id = d.user_id and other.purpose = d.purpose))
     where id = $1`,
    [id, reason],
  )
}
