import { Migration } from '@mikro-orm/migrations'

/** Feeds with their runs, files, alerts and secrets, held imports, decisions about identity and what an undo needs; written from the entities by create.ts. */
export class Feeds extends Migration {
  override up(): void {
    this.addSql(`create table "import_changes" ("import_id" bigint not null, "what" text not null, "target" bigint not null, "organization_id" bigint not null, "before" jsonb not null, "version" int not null, primary key ("import_id", "what", "target"))`)

    this.addSql(`create table "feed_secrets" ("organization_id" bigint not null, "name" text not null, "sealed" bytea not null, "updated_by" text not null, "updated_at" timestamptz(3) not null default now(), primary key ("organization_id", "name"))`)

    this.addSql(`create table "feeds" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "state" text not null, "definition" jsonb not null, "host_key" text null, "host_key_by" text null, "host_key_at" timestamptz(3) null, "author" text not null, "next_slot_at" timestamptz(3) null, "wake_at" timestamptz(3) null, "lease_token" uuid null, "lease_until" timestamptz(3) null, "allowance" jsonb null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`create index feeds_slot on feeds (next_slot_at) where state = 'active'`)
    this.addSql(`create index feeds_wake on feeds (wake_at) where wake_at is not null`)
    this.addSql(`alter table "feeds" add constraint "feeds_name" unique ("organization_id", "name")`)

    this.addSql(`create table "feed_runs" ("id" bigserial primary key, "organization_id" bigint not null, "feed_id" bigint not null, "kind" text not null, "slot_at" timestamptz(3) null, "slots_passed" int not null default 0, "state" text not null, "looks" int not null default 0, "next_look_at" timestamptz(3) null, "files_taken" int not null default 0, "problem" jsonb null, "created_by" text null, "created_at" timestamptz(3) not null default now(), "started_at" timestamptz(3) null, "finished_at" timestamptz(3) null)`)
    this.addSql(`create index feed_runs_open on feed_runs (feed_id, next_look_at) where state in ('due', 'looking')`)
    this.addSql(`alter table "feed_runs" add constraint "feed_runs_slot" unique ("feed_id", "slot_at")`)

    this.addSql(`create table "feed_files" ("id" bigserial primary key, "organization_id" bigint not null, "feed_id" bigint not null, "run_id" bigint null, "name" text not null, "bytes" bigint not null, "modified_at" timestamptz(3) not null, "seen_at" timestamptz(3) not null default now(), "state" text not null, "file_hash" text null, "import_id" bigint null, "counts" jsonb null, "headers" jsonb null, "problem" jsonb null, "settle_at" timestamptz(3) null, "settle_attempts" int not null default 0, "acknowledged" text null, "archived_at" timestamptz(3) null, "finished_at" timestamptz(3) null)`)
    this.addSql(`create index "feed_files_hash" on "feed_files" ("feed_id", "file_hash")`)
    this.addSql(`create index "feed_files_import" on "feed_files" ("import_id")`)
    this.addSql(`create index feed_files_open on feed_files (feed_id) where state in ('found', 'importing', 'held') or settle_at is not null`)
    this.addSql(`alter table "feed_files" add constraint "feed_files_version" unique ("feed_id", "name", "bytes", "modified_at")`)

    this.addSql(`create table "feed_alerts" ("id" bigserial primary key, "organization_id" bigint not null, "feed_id" bigint not null, "kind" text not null, "subject" text not null default '', "state" text not null, "detail" jsonb not null, "import_id" bigint null, "raised_at" timestamptz(3) not null default now(), "cleared_at" timestamptz(3) null)`)
    this.addSql(`create unique index feed_alerts_raised on feed_alerts (feed_id, kind, subject) where state = 'raised'`)
    this.addSql(`create index "feed_alerts_feed" on "feed_alerts" ("feed_id", "raised_at")`)

    this.addSql(`create table "identity_decisions" ("id" bigserial primary key, "organization_id" bigint not null, "import_id" bigint null, "contact_id" bigint not null, "kind" text not null, "row" int not null, "given" jsonb not null, "state" text not null, "decided_by" text null, "decided_at" timestamptz(3) null, "created_at" timestamptz(3) not null default now())`)
    this.addSql(`create unique index identity_decisions_waiting on identity_decisions (contact_id, kind) where state = 'waiting'`)
    this.addSql(`create index "identity_decisions_contact" on "identity_decisions" ("contact_id", "kind", "state")`)

    this.addSql(`create table "webhook_events" ("id" bigserial primary key, "organization_id" bigint not null, "feed_id" bigint not null, "alert_id" bigint not null, "type" text not null, "payload" jsonb not null, "state" text not null, "attempts" int not null default 0, "next_at" timestamptz(3) not null default now(), "response" text null, "created_at" timestamptz(3) not null default now(), "delivered_at" timestamptz(3) null)`)
    this.addSql(`create index webhook_events_due on webhook_events (next_at) where state in ('waiting', 'sending')`)
    this.addSql(`alter table "webhook_events" add constraint "webhook_events_alert" unique ("alert_id", "type")`)

    this.addSql(`alter table "mail_templates" drop constraint "mail_templates_purpose"`)
    this.addSql(`alter table "mail_templates" add constraint "mail_templates_purpose" check (purpose = ANY (ARRAY['credentials'::text, 'invitation'::text, 'operatorCredentials'::text, 'alreadyRegistered'::text, 'welcome'::text, 'passwordReset'::text, 'passwordChanged'::text, 'operatorSummary'::text, 'feedAlert'::text, 'feedAllClear'::text]))`)

    this.addSql(`alter table "imports" drop constraint "imports_state"`)
    this.addSql(`alter table "imports" add "feed_id" bigint null, add "changes" jsonb null, add "hold" jsonb null, add "plan_hash" text null, add "hold_until" timestamptz(3) null, add "decision" text null, add "decided_by" text null, add "decided_at" timestamptz(3) null, add "undo" jsonb null, add "undone_by" text null, add "undone_at" timestamptz(3) null`)
    this.addSql(`create index imports_feed on imports (feed_id, id) where feed_id is not null`)
    this.addSql(`alter table "imports" add constraint "imports_state" check (state = ANY (ARRAY['receiving'::text, 'received'::text, 'staging'::text, 'previewed'::text, 'held'::text, 'committing'::text, 'committed'::text, 'cancelled'::text, 'failed'::text, 'undone'::text]))`)

    this.addSql(`alter table "import_chunks" add "kind" text not null default 'rows'`)
    this.addSql(`alter table "import_chunks" add constraint "import_chunks_kind" check (kind = ANY (ARRAY['rows'::text, 'leaving'::text]))`)

    this.addSql(`alter table "contacts" add "feed_id" bigint null`)
    this.addSql(`create index contacts_of_feed on contacts (feed_id) where feed_id is not null and state = 'active'`)

    this.addSql(`alter table "deliveries" drop constraint "deliveries_purpose"`)
    this.addSql(`alter table "deliveries" add "feed_alert_id" bigint null`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_feed_alert_id_foreign" foreign key ("feed_alert_id") references "feed_alerts" ("id") on delete set null`)
    this.addSql(`create index deliveries_about_feeds on deliveries (organization_id, send_at, id) where state = 'scheduled' and feed_alert_id is not null`)
    this.addSql(`create unique index deliveries_feed_alert on deliveries (feed_alert_id, purpose, recipient) where feed_alert_id is not null`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_purpose" check (purpose = ANY (ARRAY['credentials'::text, 'invitation'::text, 'operatorCredentials'::text, 'alreadyRegistered'::text, 'welcome'::text, 'passwordReset'::text, 'passwordChanged'::text, 'operatorSummary'::text, 'feedAlert'::text, 'feedAllClear'::text]))`)

    this.addSql(`alter table "import_changes" add constraint "import_changes_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete cascade`)
    this.addSql(`alter table "import_changes" add constraint "import_changes_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "import_changes" add constraint "import_changes_what" check (what = ANY (ARRAY['contact'::text, 'user'::text]))`)
    this.addSql(`alter table "import_changes" enable row level security`)
    this.addSql(`alter table "import_changes" force row level security`)
    this.addSql(`create policy "import_changes_tenant" on "import_changes" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "import_changes_fleet" on "import_changes" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "feed_secrets" add constraint "feed_secrets_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "feed_secrets" enable row level security`)
    this.addSql(`alter table "feed_secrets" force row level security`)
    this.addSql(`create policy "feed_secrets_tenant" on "feed_secrets" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "feed_secrets_fleet" on "feed_secrets" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "feeds" add constraint "feeds_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "feeds" add constraint "feeds_state" check (state = ANY (ARRAY['active'::text, 'paused'::text]))`)
    this.addSql(`alter table "feeds" enable row level security`)
    this.addSql(`alter table "feeds" force row level security`)
    this.addSql(`create policy "feeds_tenant" on "feeds" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "feeds_fleet" on "feeds" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "feed_runs" add constraint "feed_runs_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "feed_runs" add constraint "feed_runs_feed_id_foreign" foreign key ("feed_id") references "feeds" ("id") on delete cascade`)
    this.addSql(`alter table "feed_runs" add constraint "feed_runs_state" check (state = ANY (ARRAY['due'::text, 'looking'::text, 'done'::text, 'missing'::text, 'failed'::text]))`)
    this.addSql(`alter table "feed_runs" add constraint "feed_runs_kind" check (kind = ANY (ARRAY['scheduled'::text, 'catchUp'::text, 'manual'::text]))`)
    this.addSql(`alter table "feed_runs" enable row level security`)
    this.addSql(`alter table "feed_runs" force row level security`)
    this.addSql(`create policy "feed_runs_tenant" on "feed_runs" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "feed_runs_fleet" on "feed_runs" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "feed_files" add constraint "feed_files_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "feed_files" add constraint "feed_files_feed_id_foreign" foreign key ("feed_id") references "feeds" ("id") on delete cascade`)
    this.addSql(`alter table "feed_files" add constraint "feed_files_run_id_foreign" foreign key ("run_id") references "feed_runs" ("id") on delete set null`)
    this.addSql(`alter table "feed_files" add constraint "feed_files_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "feed_files" add constraint "feed_files_state" check (state = ANY (ARRAY['found'::text, 'importing'::text, 'held'::text, 'imported'::text, 'rejected'::text, 'refused'::text, 'repeated'::text, 'superseded'::text]))`)
    this.addSql(`alter table "feed_files" enable row level security`)
    this.addSql(`alter table "feed_files" force row level security`)
    this.addSql(`create policy "feed_files_tenant" on "feed_files" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "feed_files_fleet" on "feed_files" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "feed_alerts" add constraint "feed_alerts_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "feed_alerts" add constraint "feed_alerts_feed_id_foreign" foreign key ("feed_id") references "feeds" ("id") on delete cascade`)
    this.addSql(`alter table "feed_alerts" add constraint "feed_alerts_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "feed_alerts" add constraint "feed_alerts_state" check (state = ANY (ARRAY['raised'::text, 'cleared'::text]))`)
    this.addSql(`alter table "feed_alerts" add constraint "feed_alerts_kind" check (kind = ANY (ARRAY['late'::text, 'missing'::text, 'repeated'::text, 'outOfOrder'::text, 'held'::text, 'failed'::text, 'hostKey'::text, 'login'::text, 'unreachable'::text, 'acknowledgement'::text]))`)
    this.addSql(`alter table "feed_alerts" enable row level security`)
    this.addSql(`alter table "feed_alerts" force row level security`)
    this.addSql(`create policy "feed_alerts_tenant" on "feed_alerts" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "feed_alerts_fleet" on "feed_alerts" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "identity_decisions" add constraint "identity_decisions_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "identity_decisions" add constraint "identity_decisions_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "identity_decisions" add constraint "identity_decisions_contact_id_foreign" foreign key ("contact_id") references "contacts" ("id") on delete cascade`)
    this.addSql(`alter table "identity_decisions" add constraint "identity_decisions_state" check (state = ANY (ARRAY['waiting'::text, 'accepted'::text, 'rejected'::text, 'lapsed'::text]))`)
    this.addSql(`alter table "identity_decisions" add constraint "identity_decisions_kind" check (kind = ANY (ARRAY['moved'::text, 'deactivated'::text]))`)
    this.addSql(`alter table "identity_decisions" enable row level security`)
    this.addSql(`alter table "identity_decisions" force row level security`)
    this.addSql(`create policy "identity_decisions_tenant" on "identity_decisions" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "identity_decisions_fleet" on "identity_decisions" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "webhook_events" add constraint "webhook_events_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "webhook_events" add constraint "webhook_events_feed_id_foreign" foreign key ("feed_id") references "feeds" ("id") on delete cascade`)
    this.addSql(`alter table "webhook_events" add constraint "webhook_events_alert_id_foreign" foreign key ("alert_id") references "feed_alerts" ("id") on delete cascade`)
    this.addSql(`alter table "webhook_events" add constraint "webhook_events_state" check (state = ANY (ARRAY['waiting'::text, 'sending'::text, 'delivered'::text, 'failed'::text]))`)
    this.addSql(`alter table "webhook_events" enable row level security`)
    this.addSql(`alter table "webhook_events" force row level security`)
    this.addSql(`create policy "webhook_events_tenant" on "webhook_events" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "webhook_events_fleet" on "webhook_events" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`create table "known_rows" ("feed_id" bigint not null, "import_id" bigint not null, "organization_id" bigint not null, "fingerprint" text not null, "settled" boolean not null default false, "rows" bytea not null, "at" timestamptz(3) not null default now(), primary key ("feed_id", "import_id"))`)
    this.addSql(`alter table "known_rows" add constraint "known_rows_feed_id_foreign" foreign key ("feed_id") references "feeds" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "known_rows" add constraint "known_rows_import_id_foreign" foreign key ("import_id") references "imports" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "known_rows" add constraint "known_rows_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "known_rows" enable row level security`)
    this.addSql(`alter table "known_rows" force row level security`)
    this.addSql(`create policy "known_rows_tenant" on "known_rows" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "known_rows_fleet" on "known_rows" to "muster_fleet" using (true) with check (true)`)
    // Packed already, and read as a whole: compressing it again costs more than it saves.
    this.addSql(`alter table "known_rows" alter column "rows" set storage external`)
  }
}
