import type { Transaction } from '../entities/database.ts'
import type { Settings } from './declaration.ts'

/** Who is asked for help, as mails and pages show it (spec C7). `phone` as it is stored. */
export type SupportContact = { name: string; email: string | null; phone: string | null }

/**
 * The organization's support contact: as declared, or the contact that it names by external id, as that one is now.
 * Null where none is declared, and where the contact is deactivated or unknown.
 */
export async function readSupportContact(tx: Transaction, { supportContact: declared }: Pick<Settings, 'supportContact'>): Promise<SupportContact | null> {
  if (declared === null) return null
  if (!('externalId' in declared)) return { name: declared.name, email: declared.email ?? null, phone: declared.phone ?? null }
  const [contact] = await tx.query<SupportContact>(
    `select concat_ws(' ', first_name, last_name) as name, email, phone from contacts where external_id = $1 and state = 'active'`,
    [declared.externalId],
  )
  return contact ?? null
}
