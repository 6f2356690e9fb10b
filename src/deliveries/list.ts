import type { Transaction } from '../entities/database.ts'
import type { AttemptStage, DeliveryPurpose, DeliveryState } from '../entities/states.ts'

/** A delivery as `muster deliveries list --json` prints it (interface.md). Instants are ISO 8601 in UTC. */
export type DeliveryLine = {
  id: string
  userId: string | null
  purpose: DeliveryPurpose
  to: string | null
  state: DeliveryState
  sendAt: string | null
  sentAt: string | null
  messageId: string | null
  attempts: number
  reason: string | null
}

export type AttemptLine = { number: number; stage: AttemptStage; worker: string; messageId: string | null; response: string | null; startedAt: string; endedAt: string | null }
export type DeliveryDetail = Omit<DeliveryLine, 'attempts'> & { epoch: number; importId: string | null; attempts: number; tries: AttemptLine[] }

export type DeliveryFilter = {
  state?: DeliveryState | undefined
  purpose?: DeliveryPurpose | undefined
  importId?: string | undefined
  releaseId?: string | undefined
  userId?: string | undefined
  /** Part of an address. */
  to?: string | undefined
  /** At most; default 100. */
  limit?: number | undefined
  /** The id of the last one seen: those after it. */
  after?: string | undefined
  /** By falling ids, and `after` goes on from there; default: by rising ids. */
  newestFirst?: boolean | undefined
}

const LINE = `d.id, d.user_id as "userId", d.purpose, coalesce(d.recipient, d.deliver_to, c.email) as "to", d.state, d.send_at as "sendAt", d.sent_at as "sentAt",
  d.message_id as "messageId", d.attempts, d.reason`
const FROM = 'deliveries d left join users u on u.id = d.user_id left join contacts c on c.id = u.contact_id'

type Instants = { sendAt: Date | null; sentAt: Date | null }
type Raw = Omit<DeliveryLine, keyof Instants> & Instants

const lineOf = <R extends Instants>(row: R) => ({ ...row, sendAt: row.sendAt?.toISOString() ?? null, sentAt: row.sentAt?.toISOString() ?? null })

/** Deliveries by id, those that fit the whole filter. */
export async function listDeliveries(tx: Transaction, filter: DeliveryFilter = {}): Promise<DeliveryLine[]> {
  const { beyond, order } = filter.newestFirst ? { beyond: '<', order: 'desc' } : { beyond: '>', order: 'asc' }
  const rows = await tx.query<Raw>(
    `select ${LINE} from ${FROM}
     where ($1::text is null or d.state = $1) and ($2::text is null or d.purpose = $2) and ($3::bigint is null or d.import_id = $3)
       and ($4::bigint is null or d.user_id = $4) and ($5::text is null or strpos(lower(coalesce(d.recipient, d.deliver_to, c.email)), lower($5)) > 0)
       and ($6::bigint is null or d.id ${beyond} $6) and ($8::bigint is null or d.release_id = $8)
     order by d.id ${order} limit $7`,
    [filter.state ?? null, filter.purpose ?? null, filter.importId ?? null, filter.userId ?? null, filter.to ?? null, filter.after ?? null, filter.limit ?? 100, filter.releaseId ?? null],
  )
  return rows.map(lineOf)
}

/** How many deliveries of the organization are in each state; states that none is in are left out. */
export async function countDeliveries(tx: Transaction): Promise<Partial<Record<DeliveryState, number>>> {
  const rows = await tx.query<{ state: DeliveryState; count: number }>('select state, count(*)::int as count from deliveries group by state')
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

/** One delivery with everything that was tried, or null. */
export async function showDelivery(tx: Transaction, id: string): Promise<DeliveryDetail | null> {
  if (!/^\d{1,18}$/.test(id)) return null
  const [row] = await tx.query<Raw & { epoch: number; importId: string | null }>(`select ${LINE}, d.epoch, d.import_id as "importId" from ${FROM} where d.id = $1`, [id])
  if (!row) return null
  const tries = await tx.query<Omit<AttemptLine, 'startedAt' | 'endedAt'> & { startedAt: Date; endedAt: Date | null }>(
    `select number, stage, worker, message_id as "messageId", response, started_at as "startedAt", ended_at as "endedAt"
     from delivery_attempts where delivery_id = $1 order by number`,
    [id],
  )
  return { ...lineOf(row), tries: tries.map((attempt) => ({ ...attempt, startedAt: attempt.startedAt.toISOString(), endedAt: attempt.endedAt?.toISOString() ?? null })) }
}
