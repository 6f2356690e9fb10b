import { Migration } from '@mikro-orm/migrations'
import { APP_ROLE, FLEET_ROLE } from '../roles.ts'
import { fleetFunction, type FleetFunction } from './fleetFunctions.ts'

/** What can be told now: the end of an alert waits for its beginning. */
const OF_WEBHOOKS = `select distinct organization_id from webhook_events e where state in ('waiting', 'sending') and next_at <= now()
  and not exists (select from webhook_events b where b.alert_id = e.alert_id and b.id < e.id and b.state in ('waiting', 'sending'))`

const FUNCTIONS: FleetFunction[] = [
  ['feeds_at_slot()', 'table (id bigint, organization_id bigint)', `select id, organization_id from feeds where state = 'active' and next_slot_at <= now() order by next_slot_at`],
  ['feeds_to_wake()', 'table (id bigint, organization_id bigint)', 'select id, organization_id from feeds where wake_at <= now() and (lease_until is null or lease_until < now()) order by wake_at'],
  ['organization_of_feed(feed bigint)', 'bigint', 'select organization_id from feeds where id = $1'],
  ['organizations_with_webhook_events()', 'table (organization_id bigint)', OF_WEBHOOKS],
  ['imports_held_too_long()', 'table (id bigint, organization_id bigint)', `select id, organization_id from imports where state = 'held' and hold_until <= now()`],
  ['imports_received_in_part()', 'table (id bigint, organization_id bigint)', `select id, organization_id from imports where state = 'receiving' and lease_until < now()`],
  ['organization_of_identity_decision(decision bigint)', 'bigint', 'select organization_id from identity_decisions where id = $1'],
]

/** The app role's rights on what 006-feeds made, and the functions that look across organizations there. */
export class FeedsFleet extends Migration {
  override up(): void {
    this.addSql(`grant select, insert, update, delete on all tables in schema public to ${APP_ROLE}`)
    this.addSql(`grant usage, select, update on all sequences in schema public to ${APP_ROLE}`)
    this.addSql(`grant select (id, organization_id, state, next_slot_at, wake_at, lease_until) on feeds to ${FLEET_ROLE}`)
    this.addSql(`grant select (id, organization_id, alert_id, state, next_at) on webhook_events to ${FLEET_ROLE}`)
    this.addSql(`grant select (id, organization_id) on identity_decisions to ${FLEET_ROLE}`)
    this.addSql(`grant create on schema fleet to ${FLEET_ROLE}`)
    for (const made of FUNCTIONS) for (const statement of fleetFunction(made)) this.addSql(statement)
    this.addSql(`revoke create on schema fleet from ${FLEET_ROLE}`)
    // Row security holds for the owner, too, and here it is about all organizations.
    this.addSql('alter table organizations no force row level security')
    this.addSql(`update organizations set settings = '{"administrators": []}'::jsonb || settings`)
    this.addSql('alter table organizations force row level security')
  }
}
