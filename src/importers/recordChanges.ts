import type { Transaction } from '../entities/database.ts'
import type { Chunk } from './commit.ts'
import { planTable } from './stagedRow.ts'

/** Columns of a contact that an import can change. What they held is kept under their own names. */
export const RECORDED_COLUMNS = ['external_id', 'first_name', 'last_name', 'email', 'email_key', 'phone', 'state', 'attributes', 'awaiting_license', 'feed_id'] as const

/** SQL: what stands in contact `c`, its places at customers included. */
export const CONTENT = `jsonb_build_object(${RECORDED_COLUMNS.map((column) => `'${column}', c.${column}`).join(', ')}, 'customers',
  (select jsonb_agg(jsonb_build_array(l.customer_id, l.worksite_id, l.contact_role_id) order by l.customer_id, l.worksite_id, l.contact_role_id) from contact_customers l where l.contact_id = c.id))`

/**
 * Keeps what stands in the contacts that a chunk is about to change, so that it can be put back (spec E4), with the version that the
 * chunk leaves, and in `before` the one that it found. Of contacts that it makes nothing is kept. Call it behind setStaleAside and before commitContacts, in their transaction.
 */
export async function recordContacts(tx: Transaction, importId: string, chunk: Chunk): Promise<void> {
  await tx.run(
    `insert into import_changes (import_id, what, target, organization_id, before, version)
     select ${importId}, 'contact', c.id, ${tx.organizationId}, ${CONTENT} || jsonb_build_object('version', c.version), c.version + 1
     from ${planTable(importId)} p join contacts c on c.id = p.contact_id
     where p.row between $1 and $2 and p.fate = 'update' and p.contact_version is not null on conflict do nothing`,
    [chunk.first, chunk.last],
  )
}

/**
 * Keeps whose feed the people of a chunk were of, where the feed of this import is about to make them its own. Call it behind recordContacts
 * and before adoptNamed, in their transaction.
 */
export async function recordAdopted(tx: Transaction, importId: string, chunk: Chunk): Promise<void> {
  await tx.run(
    `insert into import_changes (import_id, what, target, organization_id, before, version)
     select ${importId}, 'contact', c.id, ${tx.organizationId}, jsonb_build_object('feed_id', c.feed_id, 'version', c.version), c.version
     from contacts c where c.id in (select p.contact_id from ${planTable(importId)} p where p.row between $1 and $2 and p.fate in ('update', 'unchanged'))
       and not exists (select from feeds f where f.id = c.feed_id) on conflict do nothing`,
    [chunk.first, chunk.last],
  )
}

/**
 * Keeps that these contacts were active until a full file left them out. Call it behind the statement that deactivated them, with those
 * alone whom it deactivated, in its transaction.
 */
export async function recordLeft(tx: Transaction, importId: string, contactIds: readonly string[]): Promise<void> {
  await tx.run(
    `insert into import_changes (import_id, what, target, organization_id, before, version)
     select ${importId}, 'contact', c.id, ${tx.organizationId}, jsonb_build_object('state', 'active', 'version', c.version - 1), c.version from contacts c where c.id = any ($1::bigint[]) on conflict do nothing`,
    [[...contactIds]],
  )
}
