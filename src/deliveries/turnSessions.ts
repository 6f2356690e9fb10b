import { createHash } from 'node:crypto'
import type { Database } from '../entities/database.ts'
import { openSession, type Session } from './session.ts'

/** The two sessions of a turn's ledger. */
export type TurnSessions = {
  fences: Session
  verdicts: Session
  /** Takes connections for this turn alone, where that leaves enough to others: for a turn that has many mails. */
  hurry(): void
  /** Goes back to connections that are shared; what is being written ends before. */
  share(): void
}

/** Statements of a turn that shares connections are planned by key as those of a session are. */
const PLANNING = 'set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off'

/**
 * The ledger's way to the database during a turn. Most turns have a mail now and then: they share the pool's connections, a transaction for each
 * statement, and hold none while a mail is on the wire or waits for its instant. So there may be many of them at once.
 * @param held turns of this process that have connections of their own; half of the pool is left to everybody
 */
export function openTurnSessions(database: Database, organizationId: string, held: { turns: number }): TurnSessions {
  const fences = changeable(database, organizationId, true)
  const verdicts = changeable(database, organizationId, false)
  let hurried = false
  return {
    fences: fences.session,
    verdicts: verdicts.session,
    hurry() {
      if (hurried || held.turns >= Math.floor((database.pool.options.max ?? 10) / 4)) return
      hurried = true
      held.turns++
      // Where there is none to be had, the shared ones do.
      for (const each of [fences, verdicts]) each.open().catch(() => undefined)
    },
    share() {
      if (!hurried) return
      hurried = false
      void Promise.all([fences.close(), verdicts.close()]).finally(() => held.turns--)
    },
  }
}

function changeable(database: Database, organizationId: string, durable: boolean) {
  let own: Session | null = null
  let opening: Promise<Session> | null = null
  let running: Promise<unknown> = Promise.resolve()
  const run: Session['run'] = <R extends object>(statement: Statement): Promise<R[]> => {
    const rows = own === null ? shared<R>(database, organizationId, durable, statement) : own.run<R>(statement)
    running = rows.catch(() => undefined)
    return rows
  }
  return {
    session: { run, close: () => undefined } satisfies Session,
    async open() {
      const mine = openSession(database, organizationId, { durable })
      opening = mine
      const opened = await mine
      if (opening === mine) own = opened
      else opened.close()
    },
    async close() {
      const [mine, coming] = [own, opening]
      own = opening = null
      await running
      mine?.close()
      await coming?.catch(() => undefined)
    },
  }
}

type Statement = Parameters<Session['run']>[0]

async function shared<R extends object>(database: Database, organizationId: string, durable: boolean, { text, values }: Statement): Promise<R[]> {
  return database.tenant(organizationId, async ({ client }) => {
    await client.query(durable ? PLANNING : `${PLANNING}; set local synchronous_commit = off`)
    // A connection that many share knows a statement by its text alone.
    const name = `ledger ${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
    return (await client.query<R>({ name, text, ...(values && { values }) })).rows
  })
}
