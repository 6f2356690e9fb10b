import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { audit } from './audit.ts'

/** Subject, text and HTML of a mail, as Handlebars. */
export type OwnSource = { subject: string; text: string; html: string }

/** Which wording of its own an organization has for a purpose. Whatever was compiled of the same id and version is still right. */
export type OwnVersion = { id: string; purpose: DeliveryPurpose; version: number }

/** A wording of its own that an organization has published, as lists show it (spec D5). `publishedAt` is ISO 8601 in UTC. */
export type OwnTemplate = { purpose: DeliveryPurpose; language: string; version: number; publishedBy: string; publishedAt: string }

/** SQL: the versions of an organization `o` in its own language, as a JSON array of OwnVersion. */
export const OWN_VERSIONS = `(
  select coalesce(json_agg(json_build_object('id', t.id::text, 'purpose', t.purpose, 'version', t.version)), '[]')
  from mail_templates t where t.organization_id = o.id and t.language = o.language)`

/** Every wording of its own that the transaction's organization has, in order of purpose and language. */
export async function listOwnTemplates(tx: Transaction): Promise<OwnTemplate[]> {
  const rows = await tx.query<Omit<OwnTemplate, 'publishedAt'> & { publishedAt: Date }>(
    'select purpose, language, version, published_by as "publishedBy", published_at as "publishedAt" from mail_templates order by purpose, language',
  )
  return rows.map((row) => ({ ...row, publishedAt: row.publishedAt.toISOString() }))
}

/** The organization's own wording of a purpose in a language; null where it has none. */
export async function readOwnTemplate(tx: Transaction, purpose: DeliveryPurpose, language: string): Promise<{ version: number; source: OwnSource } | null> {
  const [row] = await tx.query<OwnSource & { version: number }>('select version, subject, text, html from mail_templates where purpose = $1 and language = $2', [purpose, language])
  if (!row) return null
  const { version, ...source } = row
  return { version, source }
}

/** The source of this very version; null where it was withdrawn, or published anew, meanwhile. */
export async function readOwnVersion(tx: Transaction, { id, version }: OwnVersion): Promise<OwnSource | null> {
  const [row] = await tx.query<OwnSource>('select subject, text, html from mail_templates where id = $1 and version = $2', [id, version])
  return row ?? null
}

/**
 * Makes this the organization's wording of a purpose in a language, from the next mail on. Whether it can be a template at all is checked
 * by whoever calls (jobs/mailTemplates.ts): organizations know no templates. The same once more changes nothing.
 * @returns the version it has now, and whether anything changed
 */
export async function storeOwnTemplate(tx: Transaction, operator: string, purpose: DeliveryPurpose, language: string, source: OwnSource): Promise<{ version: number; changed: boolean }> {
  const [stored] = await tx.query<{ version: number }>(
    `insert into mail_templates (organization_id, purpose, language, subject, text, html, published_by) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (organization_id, purpose, language) do update
     set subject = excluded.subject, text = excluded.text, html = excluded.html, version = mail_templates.version + 1, published_by = excluded.published_by, published_at = now()
     where (mail_templates.subject, mail_templates.text, mail_templates.html) is distinct from (excluded.subject, excluded.text, excluded.html)
     returning version`,
    [tx.organizationId, purpose, language, source.subject, source.text, source.html, operator],
  )
  if (!stored) return { version: (await readOwnTemplate(tx, purpose, language))?.version ?? 1, changed: false }
  await audit(tx, operator, 'mail.publish', { purpose, language, version: stored.version })
  return { version: stored.version, changed: true }
}

/** Goes back to the default wording, from the next mail on. False where the organization has none of its own. */
export async function withdrawOwnTemplate(tx: Transaction, operator: string, purpose: DeliveryPurpose, language: string): Promise<boolean> {
  const [gone] = await tx.query<{ version: number }>('delete from mail_templates where purpose = $1 and language = $2 returning version', [purpose, language])
  if (!gone) return false
  await audit(tx, operator, 'mail.withdraw', { purpose, language, version: gone.version })
  return true
}
