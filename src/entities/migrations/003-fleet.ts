import { Migration } from '@mikro-orm/migrations'
import { APP_ROLE, FLEET_ROLE } from '../roles.ts'
import { fleetFunction, type FleetFunction } from './fleetFunctions.ts'

const FUNCTIONS: FleetFunction[] = [
  ['organizations()', 'table (id bigint, key text, name text)', 'select id, key, name from organizations order by key'],
  ['organization_of_import(import bigint)', 'bigint', 'select organization_id from imports where id = $1'],
  ['organization_of_delivery(delivery bigint)', 'bigint', 'select organization_id from deliveries where id = $1'],
  [
    'imports_due()',
    'table (id bigint, organization_id bigint, state text)',
    `select id, organization_id, state from imports
     where state in ('received', 'committing') or (state = 'staging' and lease_until < now()) order by id`,
  ],
  ['import_states(imports bigint[])', 'table (id bigint, state text)', 'select id, state from imports where id = any ($1)'],
  [
    'organizations_with_due_deliveries()',
    'table (organization_id bigint)',
    `select o.id from organizations o
     where exists (select from deliveries d where d.organization_id = o.id and d.state = 'scheduled' and d.send_at <= now())`,
  ],
  [
    'organizations_with_lost_leases()',
    'table (organization_id bigint)',
    `select distinct organization_id from deliveries where state in ('queued', 'sending') and lease_until < now()`,
  ],
  [
    'organizations_with_mendable_deliveries()',
    'table (organization_id bigint)',
    `select distinct organization_id from deliveries where state = 'held' and reason = 'not_loginable' and send_at <= now()`,
  ],
  [
    'organizations_with_expired_invitations()',
    'table (organization_id bigint)',
    `select distinct organization_id from invitations where state = 'launched' and expires_at < now()`,
  ],
]

/** The app role's rights on all tables, and the functions that may look across organizations. */
export class Fleet extends Migration {
  override up(): void {
    this.addSql(`grant select, insert, update, delete on all tables in schema public to ${APP_ROLE}`)
    this.addSql(`grant usage, select, update on all sequences in schema public to ${APP_ROLE}`)
    this.addSql(`grant select on organizations, imports, import_chunks, deliveries, invitations to ${FLEET_ROLE}`)
    this.addSql(`grant create on schema fleet to ${FLEET_ROLE}`)
    for (const made of FUNCTIONS) for (const statement of fleetFunction(made)) this.addSql(statement)
    this.addSql(`revoke create on schema fleet from ${FLEET_ROLE}`)
  }
}
