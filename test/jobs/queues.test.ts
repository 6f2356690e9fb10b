import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { done, snooze } from '../../src/jobs/outcome.ts'
import { JOB_NAMES, migrateQueues, openQueues, type Handlers, type JobName, type Payloads, type Queues, type Workers } from '../../src/jobs/queues.ts'
import { skipWithout, testDatabase, type TestDatabase } from '../support/services.ts'
import { startRedisServer } from './redisServer.ts'

/** Where the queue lives, empty at the beginning of each test. */
type Place = {
  open(onError?: (error: Error) => void): Queues
  /** The data of all jobs that are kept, as they are kept. */
  kept(): Promise<Record<string, unknown>[]>
  /** Cuts off everybody who is connected. */
  cutOff(): Promise<void>
  end(): Promise<void>
}

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end()
})

let database: TestDatabase
let administrator: Client
// Here, and not as the first test asks for it: under load the start of the server takes seconds, which are not the test's.
beforeAll(async () => {
  database = await testDatabase()
  await migrateQueues(database.url)
  administrator = new Client({ connectionString: database.url })
  await administrator.connect()
})
afterAll(async () => {
  await administrator.end()
  await database.drop()
})

function onPostgres(): Place {
  return {
    open: (onError = () => undefined) => openQueues({ databaseUrl: database.url, redisUrl: null, onError }),
    kept: async () => (await administrator.query<{ data: Record<string, unknown> }>('select data from bullmq.job')).rows.map(({ data }) => data),
    cutOff: async () => void (await administrator.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')),
    end: async () => void (await administrator.query('truncate bullmq.job, bullmq.scheduler, bullmq.meta, bullmq.event, bullmq.dedup cascade')),
  }
}

async function onRedis(): Promise<Place> {
  const server = await startRedisServer()
  return {
    open: (onError = () => undefined) => openQueues({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none', redisUrl: server.url, onError }),
    async kept() {
      const keys = (await server.command('KEYS', 'muster:*')) as string[]
      const texts = await Promise.all(keys.map(async (key) => ((await server.command('TYPE', key)) === 'hash' ? ((await server.command('HGET', key, 'data')) as string | null) : null)))
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as Record<string, unknown>)
    },
    cutOff: async () => void (await server.command('CLIENT', 'KILL', 'TYPE', 'normal')),
    end: () => server.stop(),
  }
}

/** Handlers of which those that are not given never come to be called. */
const only = (handlers: Partial<Handlers>): Handlers => {
  const never = (): Promise<never> => Promise.reject(new Error('nobody woke this'))
  return { stage: never, commit: never, deliver: never, feeds: never, webhooks: never, sweep: never, ...handlers }
}

describe('the queue in PostgreSQL', () => {
  conforms(onPostgres)
})
describe.skipIf(skipWithout('redis'))('the queue in Redis', () => {
  conforms(onRedis)
})

/** What holds of the queue wherever it lives. */
function conforms(begin: () => Place | Promise<Place>): void {
  const start = async (): Promise<{ place: Place; open(): Queues; work(queues: Queues, handlers: Partial<Handlers>, onFailure?: (name: JobName, error: Error) => void): Promise<Workers> }> => {
    const place = await begin()
    endings.push(() => place.end())
    return {
      place,
      open() {
        const queues = place.open()
        endings.push(() => queues.close())
        return queues
      },
      async work(queues, handlers, onFailure = () => undefined) {
        const workers = await queues.work(only(handlers), onFailure)
        endings.push(() => workers.close())
        return workers
      },
    }
  }

  test('has a woken job done', async () => {
    const { open, work } = await start()
    const { promise, resolve } = Promise.withResolvers<Payloads['commit']>()
    const queues = open()
    await work(queues, { commit: (payload) => (resolve(payload), Promise.resolve(done)) })
    await queues.wake('commit', { organizationId: '7', importId: '12', chunk: 3 })
    expect(await promise).toEqual({ organizationId: '7', importId: '12', chunk: 3 })
  })

  test('has it done by a worker of another process than the one that woke it', async () => {
    const { open, work } = await start()
    const { promise, resolve } = Promise.withResolvers<string>()
    await work(open(), { deliver: ({ organizationId }) => (resolve(organizationId), Promise.resolve(done)) })
    await open().wake('deliver', { organizationId: '5' })
    expect(await promise).toBe('5')
  })

  test('has a job that was woken twice while it waited done once', async () => {
    const { open, work } = await start()
    const queues = open()
    for (const organizationId of ['1', '1', '2', '1']) await queues.wake('deliver', { organizationId })
    expect(await queues.counts()).toEqual({ stage: 0, commit: 0, deliver: 2, feeds: 0, webhooks: 0, sweep: 0 })
    const begun: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    await work(queues, {
      deliver({ organizationId }) {
        begun.push(organizationId)
        if (organizationId === '3') resolve()
        return Promise.resolve(done)
      },
    })
    await queues.wake('deliver', { organizationId: '3' })
    await promise
    expect(begun.toSorted()).toEqual(['1', '2', '3'])
  })

  test('tries a job that threw again, and tells of it', async () => {
    const { open, work } = await start()
    const queues = open()
    const told: string[] = []
    let calls = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    await work(
      queues,
      {
        stage() {
          if (++calls === 1) throw new Error('on purpose')
          resolve()
          return Promise.resolve(done)
        },
      },
      (job, error) => told.push(`${job}: ${error.message}`),
    )
    await queues.wake('stage', { organizationId: '1', importId: '1' })
    await promise
    expect(told).toEqual(['stage: on purpose'])
  })

  test('comes back to a job that snoozes, as often as it does', async () => {
    const { open, work } = await start()
    const queues = open()
    const told: string[] = []
    let calls = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    await work(
      queues,
      {
        stage() {
          if (++calls <= 7) return Promise.resolve(snooze(5))
          resolve()
          return Promise.resolve(done)
        },
      },
      (job, error) => told.push(`${job}: ${error.message}`),
    )
    await queues.wake('stage', { organizationId: '1', importId: '1' })
    await promise
    expect({ calls, told }).toEqual({ calls: 8, told: [] })
  })

  test('can wake again what was done', async () => {
    const { open, work } = await start()
    const queues = open()
    const calls: string[] = []
    await work(queues, { deliver: ({ organizationId }) => (calls.push(organizationId), Promise.resolve(done)) })
    // While the first is under way its id is taken: woken until it has come twice.
    while (calls.length < 2) await queues.wake('deliver', { organizationId: '1' })
    expect(calls.slice(0, 2)).toEqual(['1', '1'])
  })

  test('counts what is under way', async () => {
    const { open, work } = await start()
    const queues = open()
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const { promise: gate, resolve: goOn } = Promise.withResolvers<void>()
    await work(queues, { deliver: () => (reach(), gate.then(() => done)) })
    await queues.wake('deliver', { organizationId: '1' })
    await reached
    expect((await queues.counts()).deliver).toBe(1)
    goOn()
  })

  test('sweeps once for each time, whoever and however many schedule it', async () => {
    const { open, work } = await start()
    const [one, two] = [open(), open()]
    const EVERY = 100
    const TICKS = 10
    const at: number[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const sweep = () => {
      at.push(performance.now())
      if (at.length === TICKS) resolve()
      return Promise.resolve(done)
    }
    await work(one, { sweep })
    await work(two, { sweep })
    for (const queues of [one, two, one, two]) await queues.keepSweeping(EVERY)
    await promise
    // Twice as many would need half of the time.
    expect(at[TICKS - 1]! - at[0]!).toBeGreaterThan((TICKS - 1) * EVERY * 0.75)
    expect((await one.counts()).sweep).toBeLessThanOrEqual(2)
  })

  test('lets the job under way come to its end when it is closed', async () => {
    const { open, work } = await start()
    const queues = open()
    const order: string[] = []
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const { promise: gate, resolve: goOn } = Promise.withResolvers<void>()
    const workers = await work(queues, {
      async deliver() {
        reach()
        await gate
        order.push('done')
        return done
      },
    })
    await queues.wake('deliver', { organizationId: '1' })
    await reached
    const closed = workers.close().then(() => order.push('closed'))
    goOn()
    await closed
    expect(order).toEqual(['done', 'closed'])
  })

  test('goes on after every connection was cut', async () => {
    const { place, open, work } = await start()
    const queues = open()
    const calls: string[] = []
    await work(queues, { deliver: ({ organizationId }) => (calls.push(organizationId), Promise.resolve(done)) })
    await place.cutOff()
    // Another organization each time: a job that was being taken on a connection as it was cut is found out by its lock only.
    for (let organization = 1; calls.length === 0; organization++) {
      await queues.wake('deliver', { organizationId: String(organization) })
      // What is known to be out of reach is told at once: the connections come back between two turns of the loop.
      await turn()
    }
    expect(Number(calls[0])).toBeGreaterThan(0)
  })

  test('is closed soon after every connection was cut', async () => {
    const { place, open, work } = await start()
    for (let times = 0; times < 3; times++) {
      const queues = open()
      const workers = await work(queues, {})
      await place.cutOff()
      // They have heard of it by then, and are between the connection that was and the one to come.
      for (let turns = 0; turns < 20; turns++) await turn()
      const since = performance.now()
      await workers.close()
      // Far less than what it waits for a queue that is away.
      expect(performance.now() - since).toBeLessThan(5_000)
    }
  })

  test('keeps nothing but ids (I5)', async () => {
    const { place, open } = await start()
    const queues = open()
    const id = fc.bigInt(1n, 10n ** 17n).map(String)
    await fc.assert(
      fc.asyncProperty(id, id, fc.nat(1_000), async (organizationId, importId, chunk) => {
        await queues.wake('stage', { organizationId, importId })
        await queues.wake('commit', { organizationId, importId, chunk })
        await queues.wake('deliver', { organizationId })
      }),
      { numRuns: 10 },
    )
    const data = await place.kept()
    expect(data.length).toBeGreaterThan(20)
    for (const payload of data) {
      expect(['organizationId', 'importId', 'chunk']).toEqual(expect.arrayContaining(Object.keys(payload)))
      for (const value of Object.values(payload)) expect(String(value)).toMatch(/^\d{1,18}$/)
    }
  })

  test('takes no payload that holds anything else (I5)', async () => {
    const { place, open } = await start()
    const queues = open()
    const words = fc.oneof(fc.constantFrom('ana@acme.example', '', '1 ', '-1', '١'), fc.string().filter((text) => !/^\d{1,18}$/.test(text)))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...JOB_NAMES), words, async (name, secret) => {
        await expect(queues.wake(name, { organizationId: '1', importId: secret, chunk: 0 })).rejects.toThrow(TypeError)
      }),
      { numRuns: 50 },
    )
    await queues.wake('deliver', { organizationId: '1' })
    expect(await place.kept()).toEqual([{ organizationId: '1' }])
  })
}

describe('a queue that is out of reach', () => {
  test.each([
    ['PostgreSQL', null],
    ['Redis', 'redis://127.0.0.1:1'],
  ])('%s: waking is no error, and is told', async (_, address) => {
    const told: Error[] = []
    const queues = openQueues({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none', redisUrl: address, onError: (error) => told.push(error) })
    await queues.wake('deliver', { organizationId: '1' })
    expect(told.length).toBeGreaterThan(0)
    await queues.close()
  })
})

describe('a queue that could not begin', () => {
  test('wakes as soon as it can, and its worker says so instead of asking without a pause', async () => {
    const late = await testDatabase()
    try {
      const told: Error[] = []
      const queues = openQueues({ databaseUrl: late.url, redisUrl: null, onError: (error) => told.push(error) })
      await expect(queues.work(only({}), () => undefined)).rejects.toThrow()
      await queues.wake('deliver', { organizationId: '1' })
      expect(told.length).toBeGreaterThan(0)
      await migrateQueues(late.url)
      await queues.wake('deliver', { organizationId: '1' })
      expect((await queues.counts()).deliver).toBe(1)
      await queues.close()
    } finally {
      await late.drop()
    }
  })
})

describe('the connections of the queue in PostgreSQL', () => {
  test('are few however many kinds there are, and none once it is closed', async () => {
    const database = await testDatabase()
    await migrateQueues(database.url)
    const administrator = new Client({ connectionString: database.url })
    await administrator.connect()
    const connections = async (): Promise<number> =>
      (await administrator.query<{ count: number }>('select count(*)::int as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')).rows[0]!.count
    try {
      const queues = openQueues({ databaseUrl: database.url, redisUrl: null, onError: () => undefined })
      const { promise, resolve } = Promise.withResolvers<void>()
      let left = 20
      const workers = await queues.work(only({ deliver: () => (--left === 0 && resolve(), Promise.resolve(done)) }), () => undefined)
      for (let organization = 1; organization <= 20; organization++) await queues.wake('deliver', { organizationId: String(organization) })
      await promise
      expect(await connections()).toBeLessThanOrEqual(JOB_NAMES.length + 3)
      await workers.close()
      await queues.close()
      await expect.poll(connections).toBe(0)
    } finally {
      await administrator.end()
      await database.drop()
    }
  })

  test('are not needed for long to migrate it, which twice is as once', async () => {
    const database = await testDatabase()
    try {
      await migrateQueues(database.url)
      await expect(migrateQueues(database.url)).resolves.toBeUndefined()
    } finally {
      await database.drop()
    }
  })
})
