import type { Transaction } from '../entities/database.ts'

/**
 * Roles that at least one user must hold and nobody does (spec C4), by name; those that a plan gives are not missing.
 * @param users the plan of users that is about to be committed, if there is one
 */
export async function missingRoles(tx: Transaction, users: string | null): Promise<string[]> {
  const planned = users === null ? '' : `and not exists (select from ${users} p where p.fate in ('create', 'update') and r.id = any (p.role_ids))`
  const missing = await tx.query<{ name: string }>(
    `select r.name from roles r where r.required and not r.withdrawn ${planned}
       and not exists (select from user_roles l join users u on u.id = l.user_id where l.role_id = r.id and u.state = 'active') order by r.id`,
  )
  return missing.map(({ name }) => name)
}
