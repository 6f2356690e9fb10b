import { Migration } from '@mikro-orm/migrations'
import { APP_ROLE, FLEET_ROLE } from '../roles.ts'

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
      // Set, not inherited: what the role may do is done only by who takes it on. Before PostgreSQL 16 there is no telling them apart.
      this.addSql(`do $$ begin
        if current_setting('server_version_num')::int < 160000 then
          if not pg_has_role(current_user, '${role}', 'member') then execute format('grant ${role} to %I', current_user); end if;
        elsif not pg_has_role(current_user, '${role}', 'set') then execute format('grant ${role} to %I with inherit false, set true', current_user);
        end if;
      end $$`)
    }
    this.addSql('create schema if not exists staging')
    this.addSql('create schema if not exists fleet')
    this.addSql(`grant usage on schema public to ${APP_ROLE}, ${FLEET_ROLE}`)
    this.addSql(`grant usage, create on schema staging to ${APP_ROLE}`)
    this.addSql(`grant usage on schema fleet to ${APP_ROLE}`)
  }
}
