/** Feeds whose files go the real way from their bytes on: receive, stage, plan, judge, commit. In this process, without a server or a queue. */
import type { Database, Transaction } from '../../src/entities/database.ts'
import { parseFeed } from '../../src/feeds/declaration.ts'
import { heldPeople } from '../../src/importers/heldPeople.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { approveImport } from '../../src/jobs/decideImport.ts'
import type { FeedIntake, FeedScope, Thresholds } from '../../src/rules/feedPolicy.ts'
import { importing, type DeclarationChanges, type Importing } from '../support/importing.ts'

export const NO_LIMIT = { people: null, percent: null }
export const UNLIMITED: Thresholds = { creations: NO_LIMIT, updates: NO_LIMIT, deactivations: NO_LIMIT, changedEmails: NO_LIMIT, reactivations: NO_LIMIT }

export type Fed = {
  id: string
  name: string
  /** Takes a file of the feed in, to its end or until it is held. */
  take(text: string, intake?: Partial<FeedIntake>): Promise<ImportReport>
}

export type FeedScene = Importing & {
  feed(options?: { name?: string; author?: string; adopts?: boolean; scope?: FeedScope; mode?: 'full' | 'changes'; thresholds?: Partial<Thresholds> }): Promise<Fed>
  tenant<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Approves a held import and carries it out. */
  approve(importId: string, operator: string, plan?: string): Promise<ImportReport>
  leaving(importId: string): Promise<string[]>
  /** Names of those who are active, by name. */
  active(): Promise<string[]>
}

export async function feedScene(database: Database, changes: DeclarationChanges = {}): Promise<FeedScene> {
  const acme = await importing(database, changes)
  const tenant: FeedScene['tenant'] = (work) => database.tenant(acme.organizationId, work)
  let feeds = 0
  return {
    ...acme,
    tenant,
    async feed({ name = `nightly-${++feeds}`, author = 'ana', ...options } = {}) {
      const thresholds = { ...UNLIMITED, ...options.thresholds }
      const { organization: _, name: __, ...definition } = parseFeed({
        organization: acme.key, name, server: { host: 'sftp.acme.example', username: 'muster', login: { password: 'sftp-password' } }, pattern: 'people*.csv', schedule: '0 2 * * *', mode: options.mode ?? 'full', alerts: { mails: ['hr@acme.example'] },
      })
      const [feed] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, $2, 'active', $3, $4) returning id`, [acme.organizationId, name, definition, author])
      const id = feed!.id
      const usual: FeedIntake = {
        feedId: id, fileId: '1', mode: options.mode ?? 'full', scope: options.scope ?? { kind: 'own' }, adopts: options.adopts ?? false, thresholds, rows: { least: null, most: null, changePercent: null },
        lastHeaders: null, lastRows: null, outOfOrder: null, holdHours: 72,
      }
      return { id, name, take: (text, intake = {}) => acme.run({ name: 'people.csv', bytes: Buffer.from(text) }, { feed: { ...usual, ...intake } }) }
    },
    async approve(importId, operator, plan) {
      const chunks = await tenant((tx) => approveImport(tx, importId, operator, plan === undefined ? {} : { plan }))
      for (const chunk of chunks) await commitChunk({ database, failpoint: () => Promise.resolve(), queues: { wake: () => Promise.resolve() } }, { organizationId: acme.organizationId, importId, chunk })
      return acme.report(importId)
    },
    leaving: (importId) => tenant(async (tx) => (await heldPeople(tx, importId, 10_000)).leaving.people.map(({ name }) => name)),
    active: async () => (await acme.contacts()).filter(({ state }) => state === 'active').map(({ firstName, lastName }) => `${firstName} ${lastName}`).sort(),
  }
}

const HEADER = 'External ID,First Name,Last Name,Email'

/** A full file of people by number: Person 1 has External ID 1 and p1@acme.example. `ends`: lines to be put behind. */
export function people(numbers: Iterable<number>, ...lines: string[]): string {
  return [HEADER, ...[...numbers].map((number) => `${number},Person,${wordOf(number)},p${number}@acme.example`), ...lines].join('\n') + '\n'
}

export const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** A name may hold no digits: 1 is B, 10 is BA. */
export const wordOf = (number: number): string => [...String(number)].map((digit) => 'ABCDEFGHIJ'[Number(digit)]).join('')
export const named = (...numbers: number[]): string[] => numbers.map((number) => `Person ${wordOf(number)}`).sort()
