/**
 * An organization whose files go the real way, in this process and without a queue: receive, stage, plan, commit.
 * What a test reads afterwards is what the tables say.
 */
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll } from 'vitest'
import { listContacts, listUsers } from '../../src/accounts/listPeople.ts'
import type { ContactLine, UserLine } from '../../src/accounts/listPeople.ts'
import { listDeliveries } from '../../src/deliveries/list.ts'
import type { DeliveryLine } from '../../src/deliveries/list.ts'
import { Database } from '../../src/entities/database.ts'
import { hasPlan, readImport, reportImport } from '../../src/importers/importReport.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { readPlan } from '../../src/importers/readPlan.ts'
import type { PlannedRow } from '../../src/importers/readPlan.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import type { ImportOptions } from '../../src/importers/receive.ts'
import { writeErrors } from '../../src/importers/writeErrors.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { cancelImport, countImport } from '../../src/jobs/finishImport.ts'
import { beginCommit, stageImport } from '../../src/jobs/stageImport.ts'
import type { ImportParts } from '../../src/jobs/stageImport.ts'
import { applyDeclaration } from '../../src/organizations/apply.ts'
import type { Mapping } from '../../src/rules/columns.ts'
import { testDatabase } from './services.ts'
import type { TestDatabase } from './services.ts'

/** What a declaration may say beside its key; merged over DECLARATION, section by section. */
export type DeclarationChanges = Record<string, unknown>

export type File = { name: string; bytes: Buffer }

/** What is to happen at a failpoint, by its name. */
export type Between = Readonly<Record<string, () => Promise<void>>>

export type Importing = {
  organizationId: string
  key: string
  /** Takes a file in, to its end; of CSV text the name is people.csv. */
  run(file: File | string, options?: Partial<ImportOptions>, between?: Between): Promise<ImportReport>
  /** Takes a file in as far as its plan. */
  preview(file: File | string, options?: Partial<ImportOptions>): Promise<ImportReport>
  /** Carries out the plan of a previewed import. */
  commit(importId: string): Promise<ImportReport>
  /** Does these chunks of an import that was begun to be committed. */
  finish(importId: string, chunks: readonly number[]): Promise<ImportReport>
  cancel(importId: string): Promise<boolean>
  report(importId: string): Promise<ImportReport>
  plan(importId: string): Promise<PlannedRow[]>
  /** The rejected rows as they are handed back. */
  errors(importId: string): Promise<Buffer>
  contacts(): Promise<ContactLine[]>
  users(): Promise<UserLine[]>
  deliveries(): Promise<DeliveryLine[]>
  /** Declares the organization anew, with these changes over what it was made with. */
  declare(changes: DeclarationChanges): Promise<void>
  saveMapping(mapping: Mapping): Promise<void>
  /** Runs a statement beside everything, as an administrator of the database would; $1 may be the organization's id. */
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
}

/** An organization with something in every list of its catalog, and whose new users are owed an invitation. */
export const DECLARATION = {
  name: 'Acme Staffing', timeZone: 'America/Chicago', language: 'en',
  username: { format: '{first}.{last}', maxLength: 32 },
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Customer Limited', delivery: 'invitation' },
  groups: ['Staff', 'Supervisors'], profiles: ['Standard', 'Manager'],
  licenses: [{ name: 'Full', seats: null }, { name: 'Read only', seats: null }],
  roles: [
    { name: 'Customer Limited', userType: 'Customer' },
    { name: 'Customer Administrator', userType: 'Customer' },
    { name: 'Authorized Representative', userType: 'Customer', invitableAlone: false },
  ],
  products: [{ name: 'WebCenter', autoLink: true, role: 'Customer Limited' }, { name: 'Payroll', tenants: ['North', 'South'] }],
  securityGroups: { department: ['all', 'HR'], location: ['all', 'Duluth'] },
  customers: [{ name: 'Ministry', worksites: ['Warehouse'], contactRoles: ['Approver', 'Payer'] }],
  mail: { from: 'Acme <no-reply@acme.example>' },
}

let made = 0

/** Makes an organization of its own key, by DECLARATION with `changes` over it. */
export async function importing(database: Database, changes: DeclarationChanges = {}): Promise<Importing> {
  const key = typeof changes['key'] === 'string' ? changes['key'] : `org-${process.pid}-${++made}`
  const declare = (more: DeclarationChanges) => applyDeclaration(database, { ...merged(merged(DECLARATION, changes), more), key })
  const { id: organizationId } = await declare({})
  const tenant = database.tenant.bind(database, organizationId) as <T>(work: Parameters<typeof database.tenant<T>>[1]) => Promise<T>
  const report = (importId: string) =>
    tenant(async (tx) => {
      const stored = (await readImport(tx, importId))!
      return reportImport(tx, stored, stored.result === null && (await hasPlan(tx, importId)) ? await countImport(tx, importId, stored.options) : null)
    })
  const commitAll = async (importId: string, chunks: readonly number[]): Promise<ImportReport> => {
    for (const chunk of chunks) await commitChunk(partsOf(database, []), { organizationId, importId, chunk })
    return report(importId)
  }
  const take = async (file: File | string, options: Partial<ImportOptions>, between: Between = {}): Promise<ImportReport> => {
    const { name, bytes } = typeof file === 'string' ? { name: 'people.csv', bytes: Buffer.from(file) } : file
    const importId = await receiveFile(database, organizationId, { name, bytes: [bytes] }, { ...DEFAULT_OPTIONS, ...options })
    const chunks: number[] = []
    while ((await stageImport(partsOf(database, chunks, between), { organizationId, importId }, new AbortController().signal)).kind === 'snooze');
    return commitAll(importId, chunks)
  }
  return {
    organizationId,
    key,
    report,
    run: (file, options = {}, between = {}) => take(file, options, between),
    preview: (file, options = {}) => take(file, { ...options, preview: true }),
    commit: async (importId) => commitAll(importId, await tenant((tx) => beginCommit(tx, importId))),
    finish: commitAll,
    cancel: (importId) => tenant((tx) => cancelImport(tx, importId)),
    plan: (importId) => tenant((tx) => readPlan(tx, importId, { after: 0, limit: 10_000 })),
    async errors(importId) {
      const stored = (await tenant((tx) => readImport(tx, importId)))!
      const out = new PassThrough()
      const [bytes] = await Promise.all([buffer(out), writeErrors(database, organizationId, stored, out)])
      return bytes
    },
    contacts: () => tenant((tx) => listContacts(tx, { fields: {} }, { after: '0', limit: 10_000 })),
    users: () => tenant((tx) => listUsers(tx, { fields: {} }, { after: '0', limit: 10_000 })),
    deliveries: () => tenant((tx) => listDeliveries(tx, { limit: 10_000 })),
    async declare(more) {
      await declare(more)
    },
    async saveMapping(mapping) {
      await tenant((tx) => tx.run('insert into mappings (organization_id, name, definition) values ($1, $2, $3)', [organizationId, mapping.name, JSON.stringify(mapping)]))
    },
    sql: async <R extends object>(text: string, values: unknown[] = []) => (await database.pool.query<R>(text, values)).rows,
  }
}

function partsOf(database: Database, chunks: number[], between: Between = {}): ImportParts {
  return {
    database,
    failpoint: (name) => between[name]?.() ?? Promise.resolve(),
    queues: {
      wake: (name, payload) => {
        if (name === 'commit' && 'chunk' in payload) chunks.push(payload.chunk)
        return Promise.resolve()
      },
    },
  }
}

/** Objects are merged one level down, lists and values take the place of what was. */
function merged(base: DeclarationChanges, over: DeclarationChanges): DeclarationChanges {
  const isObject = (value: unknown): value is DeclarationChanges => typeof value === 'object' && value !== null && !Array.isArray(value)
  return { ...base, ...Object.fromEntries(Object.entries(over).map(([key, value]) => [key, isObject(value) && isObject(base[key]) ? { ...base[key], ...value } : value])) }
}

/** A database for the tests of a file, made before the first and dropped behind the last of them. */
export function useDatabase(): { readonly current: Database } {
  let kept: TestDatabase
  let database: Database
  beforeAll(async () => {
    kept = await testDatabase()
    database = new Database(kept.url)
  })
  afterAll(async () => {
    await database.close()
    await kept.drop()
  })
  return {
    get current() {
      return database
    },
  }
}
