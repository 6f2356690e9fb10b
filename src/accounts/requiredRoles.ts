import type { Transaction } from '../entities/database.ts'
import type { PlanTables } from './planUsers.ts'

/**
 * Roles that at least one user must hold and nobody does (spec C4), by name.
 * @param tables the plan of users that is about to be committed, if there is one: what it gives is not missing, and what it takes away may be
 */
export async function missingRoles(tx: Transaction, tables: Pick<PlanTables, 'users' | 'rows' | 'plan'> | null): Promise<string[]> {
  const required = await tx.query('select from roles where required and not withdrawn limit 1')
  if (required.length === 0) return []
  // What a row says of roles takes the place of what was held at the products that it names, or in general (provision.ts).
  const staysHeld = tables === null ? "u.state = 'active'" : `(u.state = 'active' or exists (select from ${tables.users} p join ${tables.plan} c on c.row = p.row where p.fate = 'update' and p.user_id = u.id and c.reactivate))
    and not exists (select from ${tables.users} p join ${tables.rows} s on s.row = p.row where p.fate = 'update' and p.user_id = u.id and r.id <> all (p.role_ids)
      and (l.product_id = any (s.product_ids) or s.product_ids is null and l.product_id is null))`
  const given = tables === null ? '' : `
       and not exists (select from ${tables.users} p join ${tables.plan} c on c.row = p.row left join users u on u.id = p.user_id
         where r.id = any (p.role_ids) and (p.fate = 'create' or p.fate = 'update' and (u.state = 'active' or c.reactivate)))
       and not exists (select from products d join ${tables.users} p on p.fate = 'create' join ${tables.rows} s on s.row = p.row
         where d.auto_link and not d.withdrawn and d.role_id = r.id and not coalesce(d.id = any (s.product_ids), false))`
  const missing = await tx.query<{ name: string }>(
    `select r.name from roles r where r.required and not r.withdrawn ${given}
       and not exists (select from user_roles l join users u on u.id = l.user_id where l.role_id = r.id and ${staysHeld}) order by r.id`,
  )
  return missing.map(({ name }) => name)
}
