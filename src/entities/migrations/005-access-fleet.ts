import { Migration } from '@mikro-orm/migrations'
import { APP_ROLE, FLEET_ROLE } from '../roles.ts'
import { fleetFunction, type FleetFunction } from './fleetFunctions.ts'

const FUNCTIONS: FleetFunction[] = [
  ['organization_of_key(key text)', 'bigint', 'select id from organizations where organizations.key = $1'],
  ['organization_of_invitation(hash text)', 'bigint', 'select organization_id from invitations where token_hash = $1'],
  ['organization_of_password_reset(hash text)', 'bigint', 'select organization_id from password_resets where token_hash = $1'],
  ['organization_of_session(hash text)', 'bigint', 'select organization_id from sessions where token_hash = $1'],
  ['organization_of_api_key(hash text)', 'bigint', 'select organization_id from api_keys where key_hash = $1 and revoked_at is null'],
  ['organization_of_release(release bigint)', 'bigint', 'select organization_id from releases where id = $1'],
  ['organization_of_password_report(report bigint)', 'bigint', 'select organization_id from password_reports where id = $1'],
  ['organization_of_user(one bigint)', 'bigint', 'select organization_id from users where id = $1'],
  ['organizations_with_open_releases()', 'table (organization_id bigint)', `select distinct organization_id from releases where state in ('scheduled', 'running')`],
  [
    'organizations_with_expired_secrets()',
    'table (organization_id bigint)',
    `select organization_id from sessions where expires_at <= now()
     union select organization_id from password_reports where waiting and expires_at <= now()`,
  ],
]

/** Settings that organizations declared before did not have yet, with their defaults. What is there stays. */
const NEW_SETTINGS = `'{"onboarding": {"notice": null, "contactDetails": "organization", "passwordLength": 12}}'::jsonb`

/** Imports that were previewed, or being committed, as the version before planned them: they know no further accounts and no lookups. Staging is the app role's own. */
const WIDEN_PLANS = `do $$
  declare number text;
  begin
    set local role ${APP_ROLE};
    for number in select substring(tablename from '^plan_(\\d+)$') from pg_tables where schemaname = 'staging' and tablename ~ '^plan_\\d+$' loop
      execute format('create table if not exists staging.plan_%s_further (row integer primary key, first_row integer not null, version integer)', number);
      execute format('alter table if exists staging.rows_%s add column if not exists lookup_ids bigint[]', number);
    end loop;
    reset role;
  end $$`

/** The app role's rights on what 004-access made, and the functions that look across organizations there. */
export class AccessFleet extends Migration {
  override up(): void {
    this.addSql(`grant select, insert, update, delete on all tables in schema public to ${APP_ROLE}`)
    this.addSql(`grant usage, select, update on all sequences in schema public to ${APP_ROLE}`)
    this.addSql(`grant select (id, organization_id) on users to ${FLEET_ROLE}`)
    this.addSql(`grant select (token_hash, organization_id, expires_at) on sessions to ${FLEET_ROLE}`)
    this.addSql(`grant select (token_hash, organization_id) on password_resets to ${FLEET_ROLE}`)
    this.addSql(`grant select (key_hash, organization_id, revoked_at) on api_keys to ${FLEET_ROLE}`)
    this.addSql(`grant select (id, organization_id, expires_at, waiting) on password_reports to ${FLEET_ROLE}`)
    this.addSql(`grant select (id, organization_id, state) on releases to ${FLEET_ROLE}`)
    this.addSql(`grant create on schema fleet to ${FLEET_ROLE}`)
    for (const made of FUNCTIONS) for (const statement of fleetFunction(made)) this.addSql(statement)
    this.addSql(`revoke create on schema fleet from ${FLEET_ROLE}`)
    // Row security holds for the owner, too, and here it is about all organizations.
    this.addSql('alter table organizations no force row level security')
    this.addSql(`update organizations set settings = ${NEW_SETTINGS} || jsonb_set(settings, '{mail}', '{"bounceAddress": null}'::jsonb || (settings -> 'mail'))`)
    this.addSql('alter table organizations force row level security')
    this.addSql(WIDEN_PLANS)
  }
}
