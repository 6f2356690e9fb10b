import { Migration } from '@mikro-orm/migrations'
import { APP_ROLE, FLEET_ROLE } from '../tenancy.ts'

/**
 * Two roles without login, shared by all databases of the server: one that every tenant-bound statement runs under,
 * and one that owns the functions which look across organizations. Neither may bypass row security.
 */
export class Roles extends Migration {
  override up(): void {
    for (const role of [APP_ROLE, FLEET_ROLE]) {
      // Two databases may be migrated at the same moment: the loser of the race finds the role there.
      this.addSql(`do $$ begin
        if not exists (select from pg_roles where rolname = '${role}') then create role ${role} nologin nobypassrls; end if;
      exception when duplicate_object or unique_violation then null; end $$`)
      this.addSql(`do $$ begin
        if not pg_has_role(current_user, '${role}', 'set') then execute format('grant ${role} to %I', current_user); end if;
      exception when undefined_object or invalid_parameter_value then execute format('grant ${role} to %I', current_user); end $$`)
    }
    this.addSql('create schema if not exists staging')
    this.addSql('create schema if not exists fleet')
    this.addSql(`grant usage on schema public to ${APP_ROLE}, ${FLEET_ROLE}`)
    this.addSql(`grant usage, create on schema staging to ${APP_ROLE}`)
    this.addSql(`grant usage on schema fleet to ${APP_ROLE}`)
  }
}
