import type { Transaction } from '../entities/database.ts'

/**
 * Makes the links void that went to an address which is no longer the person's: invitations launched, and links to reset a password
 * that nobody has used. What is owed and has not left stays, and goes to the new address.
 */
export async function voidLinks(tx: Transaction, contactIds: readonly string[]): Promise<{ invitations: number; resets: number }> {
  const theirs = 'user_id in (select id from users where contact_id = any ($1::bigint[]))'
  return {
    invitations: await tx.run(`update invitations set state = 'revoked' where ${theirs} and state = 'launched'`, [[...contactIds]]),
    resets: await tx.run(`update password_resets set used_at = now() where ${theirs} and used_at is null`, [[...contactIds]]),
  }
}
