import { Migration } from '@mikro-orm/migrations'

/** Releases, sessions, resets, keys, reports, templates and the audit trail; written from the entities by create.ts. */
export class Access extends Migration {
  override up(): void {
    this.addSql(`create table "mail_templates" ("id" bigserial primary key, "organization_id" bigint not null, "purpose" text not null, "language" text not null, "subject" text not null, "text" text not null, "html" text not null, "version" int not null default 1, "published_by" text not null, "published_at" timestamptz(3) not null default now())`)
    this.addSql(`alter table "mail_templates" add constraint "mail_templates_wording" unique ("organization_id", "purpose", "language")`)

    this.addSql(`create table "audit_entries" ("id" bigserial primary key, "organization_id" bigint not null, "operator" text not null, "action" text not null, "detail" jsonb not null, "at" timestamptz(3) not null default now())`)
    this.addSql(`create index "audit_entries_time" on "audit_entries" ("organization_id", "at")`)

    this.addSql(`create table "api_keys" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "key_hash" text not null, "hint" text not null, "created_by" text not null, "created_at" timestamptz(3) not null default now(), "last_used_at" timestamptz(3) null, "revoked_at" timestamptz(3) null)`)
    this.addSql(`alter table "api_keys" add constraint "api_keys_hash" unique ("key_hash")`)

    this.addSql(`create table "password_reports" ("id" bigserial primary key, "organization_id" bigint not null, "sealed" bytea null, "waiting" boolean generated always as (sealed is not null) stored not null, "users" int not null, "created_by" text not null, "created_at" timestamptz(3) not null default now(), "expires_at" timestamptz(3) not null, "fetched_at" timestamptz(3) null, "fetched_by" text null)`)
    this.addSql(`create index password_reports_open on password_reports (expires_at) where waiting`)

    this.addSql(`create table "releases" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "state" text not null, "send_at" timestamptz(3) not null, "rate_per_minute" int null, "next_at" timestamptz(3) null, "first_wave" int not null default 0, "rest_after_minutes" int not null default 0, "rest_released_at" timestamptz(3) null, "reason" text null, "created_by" text not null, "finished_at" timestamptz(3) null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`create index releases_open on releases (organization_id) where state in ('scheduled', 'running')`)

    this.addSql(`create table "throttles" ("key" text not null, "count" int not null, "ends_at" timestamptz(3) not null, primary key ("key"))`)

    this.addSql(`create table "sessions" ("token_hash" text not null, "organization_id" bigint not null, "user_id" bigint not null, "created_at" timestamptz(3) not null default now(), "seen_at" timestamptz(3) not null default now(), "expires_at" timestamptz(3) not null, primary key ("token_hash"))`)
    this.addSql(`create index "sessions_user" on "sessions" ("user_id")`)
    this.addSql(`create index "sessions_expiry" on "sessions" ("expires_at")`)

    this.addSql(`create table "password_resets" ("id" bigserial primary key, "organization_id" bigint not null, "user_id" bigint not null, "epoch" int not null, "token_hash" text not null, "expires_at" timestamptz(3) not null, "used_at" timestamptz(3) null, "created_at" timestamptz(3) not null default now())`)
    this.addSql(`alter table "password_resets" add constraint "password_resets_epoch" unique ("user_id", "epoch")`)
    this.addSql(`alter table "password_resets" add constraint "password_resets_token" unique ("token_hash")`)

    this.addSql(`create table "user_lookups" ("user_id" bigint not null, "security_group_id" bigint not null, "organization_id" bigint not null, primary key ("user_id", "security_group_id"))`)

    this.addSql(`alter table "security_groups" drop constraint "security_groups_dimension"`)

    this.addSql(`alter table "users" add "password_chosen_at" timestamptz(3) null, add "notice_accepted_at" timestamptz(3) null`)

    this.addSql(`alter table "deliveries" drop constraint "deliveries_purpose"`)
    this.addSql(`alter table "deliveries" add "release_id" bigint null, add "first_wave" boolean not null default false, add "deliver_to" text null`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_release_id_foreign" foreign key ("release_id") references "releases" ("id") on delete set null`)
    this.addSql(`create index deliveries_prompt on deliveries (organization_id, send_at, id) where state = 'scheduled' and purpose in ('passwordReset', 'passwordChanged', 'welcome')`)
    this.addSql(`create index deliveries_due_alone on deliveries (organization_id, send_at, id) where state = 'scheduled' and release_id is null`)
    this.addSql(`create index deliveries_due_of_release on deliveries (release_id, send_at, id) where state = 'scheduled' and release_id is not null`)
    this.addSql(`create index deliveries_first_wave on deliveries (release_id) where first_wave`)
    this.addSql(`create index deliveries_release on deliveries (release_id, state) where release_id is not null`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_purpose" check (purpose = ANY (ARRAY['credentials'::text, 'invitation'::text, 'operatorCredentials'::text, 'alreadyRegistered'::text, 'welcome'::text, 'passwordReset'::text, 'passwordChanged'::text, 'operatorSummary'::text]))`)

    this.addSql(`alter table "mail_templates" add constraint "mail_templates_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "mail_templates" add constraint "mail_templates_purpose" check (purpose = ANY (ARRAY['credentials'::text, 'invitation'::text, 'operatorCredentials'::text, 'alreadyRegistered'::text, 'welcome'::text, 'passwordReset'::text, 'passwordChanged'::text, 'operatorSummary'::text]))`)
    this.addSql(`alter table "mail_templates" enable row level security`)
    this.addSql(`alter table "mail_templates" force row level security`)
    this.addSql(`create policy "mail_templates_tenant" on "mail_templates" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "mail_templates_fleet" on "mail_templates" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "audit_entries" add constraint "audit_entries_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "audit_entries" enable row level security`)
    this.addSql(`alter table "audit_entries" force row level security`)
    this.addSql(`create policy "audit_entries_tenant" on "audit_entries" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "audit_entries_fleet" on "audit_entries" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "api_keys" add constraint "api_keys_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "api_keys" enable row level security`)
    this.addSql(`alter table "api_keys" force row level security`)
    this.addSql(`create policy "api_keys_tenant" on "api_keys" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "api_keys_fleet" on "api_keys" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "password_reports" add constraint "password_reports_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "password_reports" enable row level security`)
    this.addSql(`alter table "password_reports" force row level security`)
    this.addSql(`create policy "password_reports_tenant" on "password_reports" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "password_reports_fleet" on "password_reports" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "releases" add constraint "releases_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "releases" add constraint "releases_state" check (state = ANY (ARRAY['scheduled'::text, 'running'::text, 'frozen'::text, 'finished'::text, 'cancelled'::text]))`)
    this.addSql(`alter table "releases" enable row level security`)
    this.addSql(`alter table "releases" force row level security`)
    this.addSql(`create policy "releases_tenant" on "releases" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "releases_fleet" on "releases" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "sessions" add constraint "sessions_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "sessions" add constraint "sessions_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade`)
    this.addSql(`alter table "sessions" enable row level security`)
    this.addSql(`alter table "sessions" force row level security`)
    this.addSql(`create policy "sessions_tenant" on "sessions" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "sessions_fleet" on "sessions" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "password_resets" add constraint "password_resets_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "password_resets" add constraint "password_resets_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade`)
    this.addSql(`alter table "password_resets" enable row level security`)
    this.addSql(`alter table "password_resets" force row level security`)
    this.addSql(`create policy "password_resets_tenant" on "password_resets" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "password_resets_fleet" on "password_resets" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "user_lookups" add constraint "user_lookups_user_id_foreign" foreign key ("user_id") references "users" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "user_lookups" add constraint "user_lookups_security_group_id_foreign" foreign key ("security_group_id") references "security_groups" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "user_lookups" add constraint "user_lookups_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "user_lookups" enable row level security`)
    this.addSql(`alter table "user_lookups" force row level security`)
    this.addSql(`create policy "user_lookups_tenant" on "user_lookups" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "user_lookups_fleet" on "user_lookups" to "muster_fleet" using (true) with check (true)`)
  }
}
