import type { Transaction } from '../entities/database.ts'

/** What somebody did, as the audit trail keeps it (spec E5). Instants are ISO 8601 in UTC. */
export type AuditLine = { id: string; operator: string; action: string; detail: Record<string, unknown>; at: string }

/**
 * Writes into the audit trail of the transaction's organization, so that what was done and that it was done are kept together.
 * @param action such as users.deactivate
 * @param detail ids and counts; never a secret, and of people nothing but ids
 */
export async function audit(tx: Transaction, operator: string, action: string, detail: Record<string, unknown>): Promise<void> {
  await tx.run('insert into audit_entries (organization_id, operator, action, detail) values ($1, $2, $3, $4)', [tx.organizationId, operator, action, JSON.stringify(detail)])
}

/** The latest of the audit trail, newest first. */
export async function readAudit(tx: Transaction, limit: number): Promise<AuditLine[]> {
  const rows = await tx.query<Omit<AuditLine, 'at'> & { at: Date }>('select id, operator, action, detail, at from audit_entries order by at desc, id desc limit $1', [limit])
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }))
}
