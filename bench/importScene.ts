/** Organizations with a file that has just been received, and how it is taken in from there. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Database } from '../src/entities/database.ts'
import { readImport, type Totals } from '../src/importers/importReport.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../src/importers/receive.ts'
import { commitChunk } from '../src/jobs/commitChunk.ts'
import { done } from '../src/jobs/outcome.ts'
import { CONCURRENCY } from '../src/jobs/queues.ts'
import { stageImport, type ImportParts } from '../src/jobs/stageImport.ts'
import { applyDeclaration } from '../src/organizations/apply.ts'
import { exportTables } from './floorCopy.ts'
import type { Ground } from './ground.ts'
import { writePeopleCsv } from './rows.ts'

/** Rows of the imports at full size. */
export const IMPORT_ROWS = 500_000

export type Received = { organizationId: string; importId: string; rows: number }

export type ImportScene = {
  /** A database with the organization and the received file. */
  template: string
  received: Received
  /** The CSV file itself. */
  csv: string
  /** Files of the rows that the import leaves, by table, for the floor. */
  finalRows: Map<string, string>
}

/** Users get everything from defaults: group, profile, a license without limit of seats, a role, one product; and no mail. */
const DECLARATION = {
  key: 'bench',
  name: 'Acme Staffing',
  timeZone: 'America/Chicago',
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Customer Limited', delivery: 'none' },
  groups: ['Staff', 'Supervisors'],
  profiles: ['Standard', 'Manager'],
  licenses: [{ name: 'Full', seats: null }],
  roles: [{ name: 'Customer Limited' }, { name: 'Customer Administrator' }],
  products: [{ name: 'WebCenter', autoLink: true, role: 'Customer Limited' }],
}

const PART_BYTES = 1 << 20

/** Makes the organization, and gives its id. */
export async function declareOrganization(database: Database): Promise<string> {
  return (await applyDeclaration(database, DECLARATION)).id
}

/** Takes a file in, as an upload does. */
export async function receiveCsv(database: Database, organizationId: string, csv: string): Promise<string> {
  const bytes = createReadStream(csv, { highWaterMark: PART_BYTES }) as AsyncIterable<Buffer>
  return receiveFile(database, organizationId, { name: 'people.csv', bytes }, DEFAULT_OPTIONS)
}

/**
 * Makes a scene once a run: the file, the organization that received it, and the rows that become of it, found by taking it in once.
 * @param everyUser every so manieth person is to have a user; 0: nobody
 * @param tables all that the import fills, in an order that their references allow
 */
export function importScene(ground: Ground, name: string, everyUser: number, tables: readonly string[]): Promise<ImportScene> {
  return ground.once(`import scene ${name}`, async () => {
    const rows = ground.scaled(IMPORT_ROWS)
    const csv = join(ground.folder, `${name}.csv`)
    const template = `bench_${name}`
    ground.say(`preparing ${rows} rows (${name}) and taking them in once`)
    await writePeopleCsv(csv, rows, everyUser)
    const received = await ground.template(template, null, (url) =>
      withDatabase(url, async (database) => {
        const organizationId = await declareOrganization(database)
        return { organizationId, importId: await receiveCsv(database, organizationId, csv), rows }
      }),
    )
    const finalRows = await ground.withCopy(template, async (url) => {
      await takeIn(ground, url, received, { created: rows })
      return exportTables(url, tables, ground.folder)
    })
    return { template, received, csv, finalRows }
  })
}

/**
 * Takes a received file in as a worker would: staged and planned by one job, its chunks committed by as many at once as CONCURRENCY says.
 * @param expected what the totals must come to; a wrong import is no measurement
 * @returns seconds from the received file to the ended import
 */
export async function takeIn(ground: Ground, url: string, { organizationId, importId, rows }: Received, expected: Partial<Totals>): Promise<number> {
  return withDatabase(url, async (database) => {
    const chunks: number[] = []
    const laps: string[] = []
    let at = performance.now()
    const started = at
    const lap = (name: string): void => {
      const now = performance.now()
      laps.push(`${name} ${((now - at) / 1000).toFixed(2)} s`)
      at = now
    }
    const parts: ImportParts = {
      database,
      queues: {
        wake(_name, payload) {
          if ('chunk' in payload) chunks.push(payload.chunk)
          return Promise.resolve()
        },
      },
      failpoint(name) {
        if (name === 'import.staged') lap('staging')
        if (name === 'import.planned') lap('planning')
        return Promise.resolve()
      },
    }
    const outcome = await stageImport(parts, { organizationId, importId }, new AbortController().signal)
    const lane = async (): Promise<void> => {
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) await commitChunk(parts, { organizationId, importId, chunk })
    }
    await Promise.all(Array.from({ length: CONCURRENCY.commit }, lane))
    lap('committing')
    const seconds = (performance.now() - started) / 1000
    ground.say(`  ${laps.join(', ')}`)

    const stored = await database.tenant(organizationId, (tx) => readImport(tx, importId))
    const totals = stored?.result?.totals
    const wanted: Partial<Totals> = { read: rows, ...expected }
    const differs = (Object.keys(wanted) as (keyof Totals)[]).some((key) => totals?.[key] !== wanted[key])
    if (outcome !== done || stored?.state !== 'committed' || differs) {
      throw new Error(`the import did not come out as it must: ${stored?.state}, ${JSON.stringify(stored?.failure ?? totals)}, expected ${JSON.stringify(wanted)}`)
    }
    return seconds
  })
}

/** Opens a database for `work` and closes it. */
export async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = new Database(url)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}
