import { defineEntity, p } from '@mikro-orm/core'
import { Organization } from './organization.ts'
import { CHUNK_KINDS, CHUNK_STATES, IMPORT_STATES, type ChunkKind, type ChunkState, type ImportState } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

/** One file being taken in. Totals stand here only once it has ended; until then they are counted from its rows. */
export const Import = defineEntity({
  name: 'Import',
  tableName: 'imports',
  ...tenantPolicies('imports'),
  checks: [oneOf('imports', 'state', IMPORT_STATES)],
  indexes: [
    { name: 'imports_open', properties: ['state'] },
    { name: 'imports_feed', expression: 'create index imports_feed on imports (feed_id, id) where feed_id is not null' },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    state: p.text().$type<ImportState>(),
    fileName: p.text(),
    fileBytes: p.bigint('number'),
    /** SHA-256 of the bytes, in hex. */
    fileHash: p.text(),
    /** What was detected: format, sheet, encoding, delimiter, headerRow. */
    source: p.json<Record<string, unknown>>().nullable(),
    /** How each header was read. */
    columns: p.json<unknown[]>().nullable(),
    /** What was asked for: delivery, mapping, preview. */
    options: p.json<Record<string, unknown>>(),
    failure: p.json<{ code: string; detail: Record<string, string | number> }>().nullable(),
    /** Totals, users and deliveries as in interface.md; written in the transaction that ends the import. */
    result: p.json<Record<string, unknown>>().nullable(),
    issueCount: p.integer().default(0),
    /** Rows staged so far; shown while staging. */
    rowsStaged: p.integer().default(0),
    /** Times a worker has begun to stage it; more than one means that one died over it. */
    attempts: p.integer().default(0),
    /** When all its rows were staged; what is left is to plan them. */
    stagedAt: p.datetime(3).nullable(),
    /** Until when the worker that stages or plans it may be believed alive. */
    leaseUntil: p.datetime(3).nullable(),
    /** The feed that brought it; without a foreign key, as a feed's imports outlive it. */
    feedId: p.bigint('string').nullable(),
    /** What it changes, as ChangeCounts of rules/feedPolicy.ts; of a feed's imports only. */
    changes: p.json<Record<string, number>>().nullable(),
    /** Why it is or was held as a whole: reasons of rules/feedPolicy.ts. */
    hold: p.json<Record<string, unknown>[]>().nullable(),
    /** SHA-256 in hex of what its plan changes; what is approved is this plan and no other. */
    planHash: p.text().nullable(),
    /** When a held import is given up. */
    holdUntil: p.datetime(3).nullable(),
    decision: p.text().$type<'approved' | 'rejected' | 'expired' | 'superseded'>().nullable(),
    decidedBy: p.text().nullable(),
    decidedAt: p.datetime(3).nullable(),
    /** What an undo put back, and what it could not. */
    undo: p.json<Record<string, unknown>>().nullable(),
    undoneBy: p.text().nullable(),
    undoneAt: p.datetime(3).nullable(),
    createdAt: now(),
    startedAt: p.datetime(3).nullable(),
    finishedAt: p.datetime(3).nullable(),
  },
})

/** A file's bytes, in pieces, so that any worker can read them. */
export const FilePiece = defineEntity({
  name: 'FilePiece',
  tableName: 'file_pieces',
  ...tenantPolicies('file_pieces'),
  properties: {
    import: () => p.manyToOne(Import).mapToPk().primary().deleteRule('cascade'),
    number: p.integer().primary(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    bytes: p.blob(),
  },
})

/** Rows of an import that are committed in one transaction; done is settled in that same transaction. */
export const ImportChunk = defineEntity({
  name: 'ImportChunk',
  tableName: 'import_chunks',
  ...tenantPolicies('import_chunks'),
  checks: [oneOf('import_chunks', 'state', CHUNK_STATES), oneOf('import_chunks', 'kind', CHUNK_KINDS)],
  properties: {
    import: () => p.manyToOne(Import).mapToPk().primary().deleteRule('cascade'),
    number: p.integer().primary(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    kind: p.text().$type<ChunkKind>().default('rows'),
    /** Rows of the file; of people who leave, their numbers in the list of these. */
    firstRow: p.integer(),
    lastRow: p.integer(),
    state: p.text().$type<ChunkState>(),
    /** Times it was refused by the database for what its rows hold; a lost connection does not count. */
    failures: p.integer().default(0),
    /** The worker that did it. */
    worker: p.text().nullable(),
    doneAt: p.datetime(3).nullable(),
  },
})

/** A row's problem; its sentence and hint are made from the catalog when it is shown. */
export const ImportIssue = defineEntity({
  name: 'ImportIssue',
  tableName: 'import_issues',
  ...tenantPolicies('import_issues'),
  checks: [oneOf('import_issues', 'severity', ['error', 'warning'])],
  indexes: [{ name: 'import_issues_row', properties: ['import', 'row'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    import: () => p.manyToOne(Import).mapToPk().deleteRule('cascade'),
    row: p.integer(),
    /** The header as the sender wrote it. */
    header: p.text().nullable(),
    field: p.text().nullable(),
    code: p.text(),
    severity: p.text().$type<'error' | 'warning'>(),
    value: p.text().nullable(),
    detail: p.json<Record<string, string | number>>().nullable(),
  },
})
