import { Migration } from '@mikro-orm/migrations'

/** Tables, constraints, indexes and row-level security, written from the entities by create.ts. */
export class Schema extends Migration {

  override up(): void {
    this.addSql(`create table "organizations" ("id" bigserial primary key, "key" text not null, "name" text not null, "time_zone" text not null, "language" text not null, "settings" jsonb not null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`alter table "organizations" add constraint "organizations_key" unique ("key")`)

    this.addSql(`create table "mappings" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "definition" jsonb not null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`alter table "mappings" add constraint "mappings_name" unique ("organization_id", "name")`)

    this.addSql(`create table "mail_paces" ("organization_id" bigint not null, "next_at" timestamptz(3) not null, primary key ("organization_id"))`)

    this.addSql(`create table "licenses" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "seats" int null)`)
    this.addSql(`alter table "licenses" add constraint "licenses_name" unique ("organization_id", "name")`)

    this.addSql(`create table "imports" ("id" bigserial primary key, "organization_id" bigint not null, "state" text not null, "file_name" text not null, "file_bytes" bigint not null, "file_hash" text not null, "source" jsonb null, "columns" jsonb null, "options" jsonb not null, "failure" jsonb null, "result" jsonb null, "issue_count" int not null default 0, "rows_staged" int not null default 0, "attempts" int not null default 0, "staged_at" timestamptz(3) null, "lease_until" timestamptz(3) null, "created_at" timestamptz(3) not null default now(), "started_at" timestamptz(3) null, "finished_at" timestamptz(3) null)`)
    this.addSql(`create index "imports_open" on "imports" ("state")`)

    this.addSql(`create table "import_issues" ("id" bigserial primary key, "organization_id" bigint not null, "import_id" bigint not null, "row" int not null, "header" text null, "field" text null, "code" text not null, "severity" text not null, "value" text null, "detail" jsonb null)`)
    this.addSql(`create index "import_issues_row" on "import_issues" ("import_id", "row")`)

    this.addSql(`create table "import_chunks" ("import_id" bigint not null, "number" int not null, "organization_id" bigint not null, "first_row" int not null, "last_row" int not null, "state" text not null, "failures" int not null default 0, "worker" text null, "done_at" timestamptz(3) null, primary key ("import_id", "number"))`)

    this.addSql(`create table "file_pieces" ("import_id" bigint not null, "number" int not null, "organization_id" bigint not null, "bytes" bytea not null, primary key ("import_id", "number"))`)

    this.addSql(`create table "customers" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false)`)
    this.addSql(`alter table "customers" add constraint "customers_name" unique ("organization_id", "name")`)

    this.addSql(`create table "contact_roles" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "customer_id" bigint not null)`)
    this.addSql(`alter table "contact_roles" add constraint "contact_roles_name" unique ("customer_id", "name")`)

    this.addSql(`create table "contacts" ("id" bigserial primary key, "organization_id" bigint not null, "external_id" text null, "first_name" text not null, "last_name" text not null, "email" text null, "email_key" text null, "phone" text null, "kind" text not null default 'person', "state" text not null default 'active', "attributes" jsonb null, "awaiting_license" boolean not null default false, "version" int not null default 1, "created_by_import" bigint null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`create index contacts_name_only on contacts (organization_id, last_name, first_name) where external_id is null and email_key is null`)
    this.addSql(`alter table "contacts" add constraint "contacts_external_id" unique ("organization_id", "external_id")`)
    this.addSql(`alter table "contacts" add constraint "contacts_email" unique ("organization_id", "email_key")`)

    this.addSql(`create table "profiles" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false)`)
    this.addSql(`alter table "profiles" add constraint "profiles_name" unique ("organization_id", "name")`)

    this.addSql(`create table "released_usernames" ("organization_id" bigint not null, "username" text not null, "username_stem" text not null, "username_number" int not null, "released_at" timestamptz(3) not null default now(), primary key ("organization_id", "username"))`)
    this.addSql(`create index "released_usernames_stem" on "released_usernames" ("organization_id", "username_stem", "username_number")`)

    this.addSql(`create table "roles" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "user_type" text null, "description" text null, "required" boolean not null default false, "invitable_alone" boolean not null default true)`)
    this.addSql(`alter table "roles" add constraint "roles_name" unique ("organization_id", "name")`)

    this.addSql(`create table "products" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "auto_link" boolean not null default false, "role_id" bigint null)`)
    this.addSql(`alter table "products" add constraint "products_name" unique ("organization_id", "name")`)

    this.addSql(`create table "seat_reservations" ("license_id" bigint not null, "import_id" bigint not null, "organization_id" bigint not null, "seats" int not null, primary key ("license_id", "import_id"))`)

    this.addSql(`create table "security_groups" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "dimension" text not null)`)
    this.addSql(`alter table "security_groups" add constraint "security_groups_name" unique ("organization_id", "dimension", "name")`)

    this.addSql(`create table "service_pauses" ("service" text not null, "reason" text not null, "since" timestamptz(3) not null default now(), "retry_at" timestamptz(3) not null, primary key ("service"))`)

    this.addSql(`create table "tenants" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "product_id" bigint not null)`)
    this.addSql(`alter table "tenants" add constraint "tenants_name" unique ("product_id", "name")`)

    this.addSql(`create table "users" ("id" bigserial primary key, "organization_id" bigint not null, "contact_id" bigint not null, "account_kind" text not null default 'employee', "username" text not null, "username_stem" text not null, "username_number" int not null, "state" text not null default 'active', "profile_id" bigint null, "license_id" bigint null, "company_id" bigint null, "business_unit_id" bigint null, "department_id" bigint null, "location_id" bigint null, "password_hash" text null, "must_change_password" boolean not null default false, "last_login_at" timestamptz(3) null, "version" int not null default 1, "created_by_import" bigint null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`create index "users_stem" on "users" ("organization_id", "username_stem", "username_number")`)
    this.addSql(`create index "users_license" on "users" ("license_id")`)
    this.addSql(`alter table "users" add constraint "users_contact" unique ("contact_id", "account_kind")`)
    this.addSql(`alter table "users" add constraint "users_username" unique ("organization_id", "username")`)

    this.addSql(`create table "invitations" ("id" bigserial primary key, "organization_id" bigint not null, "user_id" bigint not null, "epoch" int not null default 1, "state" text not null, "token_hash" text null, "launched_at" timestamptz(3) null, "expires_at" timestamptz(3) null, "created_at" timestamptz(3) not null default now())`)
    this.addSql(`create index "invitations_expiry" on "invitations" ("state", "expires_at")`)
    this.addSql(`alter table "invitations" add constraint "invitations_epoch" unique ("user_id", "epoch")`)
    this.addSql(`alter table "invitations" add constraint "invitations_token" unique ("token_hash")`)

    this.addSql(`create table "deliveries" ("id" bigserial primary key, "organization_id" bigint not null, "user_id" bigint null, "import_id" bigint null, "purpose" text not null, "epoch" int not null default 1, "state" text not null, "send_at" timestamptz(3) null, "recipient" text null, "message_id" text null, "attempts" int not null default 0, "reason" text null, "lease_token" uuid null, "lease_until" timestamptz(3) null, "sent_at" timestamptz(3) null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now())`)
    this.addSql(`create index deliveries_due on deliveries (organization_id, send_at, id) where state = 'scheduled'`)
    this.addSql(`create index deliveries_leased on deliveries (lease_until) where state in ('queued', 'sending')`)
    this.addSql(`create index deliveries_mendable on deliveries (send_at) where state = 'held' and reason = 'not_loginable'`)
    this.addSql(`create index "deliveries_import" on "deliveries" ("import_id")`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_epoch" unique ("user_id", "purpose", "epoch")`)

    this.addSql(`create table "delivery_attempts" ("delivery_id" bigint not null, "number" int not null, "organization_id" bigint not null, "stage" text not null, "worker" text not null, "message_id" text null, "response" text null, "started_at" timestamptz(3) not null default now(), "ended_at" timestamptz(3) null, primary key ("delivery_id", "number"))`)

    this.addSql(`create table "user_groups" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false)`)
    this.addSql(`alter table "user_groups" add constraint "user_groups_name" unique ("organization_id", "name")`)

    this.addSql(`create table "user_group_members" ("user_id" bigint not null, "group_id" bigint not null, "organization_id" bigint not null, primary key ("user_id", "group_id"))`)

    this.addSql(`create table "user_roles" ("id" bigserial primary key, "organization_id" bigint not null, "user_id" bigint not null, "role_id" bigint null, "product_id" bigint null, "tenant_id" bigint null)`)
    this.addSql(`create unique index user_roles_link on user_roles (user_id, role_id, product_id, tenant_id) nulls not distinct`)

    this.addSql(`create table "workers" ("name" text not null, "started_at" timestamptz(3) not null default now(), "seen_at" timestamptz(3) not null default now(), primary key ("name"))`)

    this.addSql(`create table "worksites" ("id" bigserial primary key, "organization_id" bigint not null, "name" text not null, "withdrawn" boolean not null default false, "customer_id" bigint not null)`)
    this.addSql(`alter table "worksites" add constraint "worksites_name" unique ("customer_id", "name")`)

    this.addSql(`create table "contact_customers" ("id" bigserial primary key, "organization_id" bigint not null, "contact_id" bigint not null, "customer_id" bigint not null, "worksite_id" bigint null, "contact_role_id" bigint null)`)
    this.addSql(`create unique index contact_customers_link on contact_customers (contact_id, customer_id, worksite_id, contact_role_id) nulls not distinct`)

    this.addSql(`alter table "organizations" enable row level security`)
    this.addSql(`alter table "organizations" force row level security`)
    this.addSql(`create policy "organizations_tenant" on "organizations" to public using (id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "organizations_fleet" on "organizations" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "mappings" add constraint "mappings_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "mappings" enable row level security`)
    this.addSql(`alter table "mappings" force row level security`)
    this.addSql(`create policy "mappings_tenant" on "mappings" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "mappings_fleet" on "mappings" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "mail_paces" add constraint "mail_paces_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "mail_paces" enable row level security`)
    this.addSql(`alter table "mail_paces" force row level security`)
    this.addSql(`create policy "mail_paces_tenant" on "mail_paces" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "mail_paces_fleet" on "mail_paces" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "licenses" add constraint "licenses_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "licenses" enable row level security`)
    this.addSql(`alter table "licenses" force row level security`)
    this.addSql(`create policy "licenses_tenant" on "licenses" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "licenses_fleet" on "licenses" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "imports" add constraint "imports_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "imports" add constraint "imports_state" check (state = ANY (ARRAY['received'::text, 'staging'::text, 'previewed'::text, 'held'::text, 'committing'::text, 'committed'::text, 'cancelled'::text, 'failed'::text, 'undone'::text]))`)
    this.addSql(`alter table "imports" enable row level security`)
    this.addSql(`alter table "imports" force row level security`)
    this.addSql(`create policy "imports_tenant" on "imports" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "imports_fleet" on "imports" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "import_issues" add constraint "import_issues_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "import_issues" add constraint "import_issues_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete cascade`)
    this.addSql(`alter table "import_issues" add constraint "import_issues_severity" check (severity = ANY (ARRAY['error'::text, 'warning'::text]))`)
    this.addSql(`alter table "import_issues" enable row level security`)
    this.addSql(`alter table "import_issues" force row level security`)
    this.addSql(`create policy "import_issues_tenant" on "import_issues" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "import_issues_fleet" on "import_issues" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "import_chunks" add constraint "import_chunks_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete cascade`)
    this.addSql(`alter table "import_chunks" add constraint "import_chunks_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "import_chunks" add constraint "import_chunks_state" check (state = ANY (ARRAY['pending'::text, 'done'::text]))`)
    this.addSql(`alter table "import_chunks" enable row level security`)
    this.addSql(`alter table "import_chunks" force row level security`)
    this.addSql(`create policy "import_chunks_tenant" on "import_chunks" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "import_chunks_fleet" on "import_chunks" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "file_pieces" add constraint "file_pieces_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete cascade`)
    this.addSql(`alter table "file_pieces" add constraint "file_pieces_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "file_pieces" enable row level security`)
    this.addSql(`alter table "file_pieces" force row level security`)
    this.addSql(`create policy "file_pieces_tenant" on "file_pieces" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "file_pieces_fleet" on "file_pieces" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "customers" add constraint "customers_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "customers" enable row level security`)
    this.addSql(`alter table "customers" force row level security`)
    this.addSql(`create policy "customers_tenant" on "customers" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "customers_fleet" on "customers" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "contact_roles" add constraint "contact_roles_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "contact_roles" add constraint "contact_roles_customer_id_foreign" foreign key ("customer_id") references "customers" ("id") on delete cascade`)
    this.addSql(`alter table "contact_roles" enable row level security`)
    this.addSql(`alter table "contact_roles" force row level security`)
    this.addSql(`create policy "contact_roles_tenant" on "contact_roles" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "contact_roles_fleet" on "contact_roles" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "contacts" add constraint "contacts_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "contacts" add constraint "contacts_created_by_import_foreign" foreign key ("created_by_import") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "contacts" add constraint "contacts_state" check (state = ANY (ARRAY['active'::text, 'inactive'::text]))`)
    this.addSql(`alter table "contacts" add constraint "contacts_kind" check (kind = ANY (ARRAY['person'::text, 'party'::text]))`)
    this.addSql(`alter table "contacts" enable row level security`)
    this.addSql(`alter table "contacts" force row level security`)
    this.addSql(`create policy "contacts_tenant" on "contacts" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "contacts_fleet" on "contacts" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "profiles" add constraint "profiles_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "profiles" enable row level security`)
    this.addSql(`alter table "profiles" force row level security`)
    this.addSql(`create policy "profiles_tenant" on "profiles" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "profiles_fleet" on "profiles" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "released_usernames" add constraint "released_usernames_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "released_usernames" enable row level security`)
    this.addSql(`alter table "released_usernames" force row level security`)
    this.addSql(`create policy "released_usernames_tenant" on "released_usernames" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "released_usernames_fleet" on "released_usernames" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "roles" add constraint "roles_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "roles" enable row level security`)
    this.addSql(`alter table "roles" force row level security`)
    this.addSql(`create policy "roles_tenant" on "roles" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "roles_fleet" on "roles" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "products" add constraint "products_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "products" add constraint "products_role_id_foreign" foreign key ("role_id") references "roles" ("id") on delete set null`)
    this.addSql(`alter table "products" enable row level security`)
    this.addSql(`alter table "products" force row level security`)
    this.addSql(`create policy "products_tenant" on "products" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "products_fleet" on "products" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "seat_reservations" add constraint "seat_reservations_license_id_foreign" foreign key ("license_id") references "licenses" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "seat_reservations" add constraint "seat_reservations_import_id_foreign" foreign key ("import_id") references "imports" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "seat_reservations" add constraint "seat_reservations_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "seat_reservations" enable row level security`)
    this.addSql(`alter table "seat_reservations" force row level security`)
    this.addSql(`create policy "seat_reservations_tenant" on "seat_reservations" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "seat_reservations_fleet" on "seat_reservations" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "security_groups" add constraint "security_groups_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "security_groups" add constraint "security_groups_dimension" check (dimension = ANY (ARRAY['company'::text, 'businessUnit'::text, 'department'::text, 'location'::text]))`)
    this.addSql(`alter table "security_groups" enable row level security`)
    this.addSql(`alter table "security_groups" force row level security`)
    this.addSql(`create policy "security_groups_tenant" on "security_groups" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "security_groups_fleet" on "security_groups" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "tenants" add constraint "tenants_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "tenants" add constraint "tenants_product_id_foreign" foreign key ("product_id") references "products" ("id") on delete cascade`)
    this.addSql(`alter table "tenants" enable row level security`)
    this.addSql(`alter table "tenants" force row level security`)
    this.addSql(`create policy "tenants_tenant" on "tenants" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "tenants_fleet" on "tenants" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "users" add constraint "users_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "users" add constraint "users_contact_id_foreign" foreign key ("contact_id") references "contacts" ("id") on delete cascade`)
    this.addSql(`alter table "users" add constraint "users_profile_id_foreign" foreign key ("profile_id") references "profiles" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_license_id_foreign" foreign key ("license_id") references "licenses" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_company_id_foreign" foreign key ("company_id") references "security_groups" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_business_unit_id_foreign" foreign key ("business_unit_id") references "security_groups" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_department_id_foreign" foreign key ("department_id") references "security_groups" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_location_id_foreign" foreign key ("location_id") references "security_groups" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_created_by_import_foreign" foreign key ("created_by_import") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "users" add constraint "users_state" check (state = ANY (ARRAY['active'::text, 'inactive'::text]))`)
    this.addSql(`alter table "users" add constraint "users_account_kind" check (account_kind = ANY (ARRAY['employee'::text, 'contact'::text, 'service representative'::text]))`)
    this.addSql(`alter table "users" enable row level security`)
    this.addSql(`alter table "users" force row level security`)
    this.addSql(`create policy "users_tenant" on "users" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "users_fleet" on "users" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "invitations" add constraint "invitations_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "invitations" add constraint "invitations_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade`)
    this.addSql(`alter table "invitations" add constraint "invitations_state" check (state = ANY (ARRAY['created'::text, 'launched'::text, 'in_progress'::text, 'completed'::text, 'expired'::text, 'revoked'::text]))`)
    this.addSql(`alter table "invitations" enable row level security`)
    this.addSql(`alter table "invitations" force row level security`)
    this.addSql(`create policy "invitations_tenant" on "invitations" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "invitations_fleet" on "invitations" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "deliveries" add constraint "deliveries_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_import_id_foreign" foreign key ("import_id") references "imports" ("id") on delete set null`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_state" check (state = ANY (ARRAY['held'::text, 'scheduled'::text, 'queued'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'unknown'::text, 'cancelled'::text, 'bounced'::text]))`)
    this.addSql(`alter table "deliveries" add constraint "deliveries_purpose" check (purpose = ANY (ARRAY['credentials'::text, 'invitation'::text, 'operatorSummary'::text]))`)
    this.addSql(`alter table "deliveries" enable row level security`)
    this.addSql(`alter table "deliveries" force row level security`)
    this.addSql(`create policy "deliveries_tenant" on "deliveries" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "deliveries_fleet" on "deliveries" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "delivery_attempts" add constraint "delivery_attempts_delivery_id_foreign" foreign key ("delivery_id") references "deliveries" ("id") on delete cascade`)
    this.addSql(`alter table "delivery_attempts" add constraint "delivery_attempts_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "delivery_attempts" add constraint "delivery_attempts_stage" check (stage = ANY (ARRAY['claimed'::text, 'finishing'::text, 'answered'::text, 'lost'::text]))`)
    this.addSql(`alter table "delivery_attempts" enable row level security`)
    this.addSql(`alter table "delivery_attempts" force row level security`)
    this.addSql(`create policy "delivery_attempts_tenant" on "delivery_attempts" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "delivery_attempts_fleet" on "delivery_attempts" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "user_groups" add constraint "user_groups_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "user_groups" enable row level security`)
    this.addSql(`alter table "user_groups" force row level security`)
    this.addSql(`create policy "user_groups_tenant" on "user_groups" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "user_groups_fleet" on "user_groups" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "user_group_members" add constraint "user_group_members_user_id_foreign" foreign key ("user_id") references "users" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "user_group_members" add constraint "user_group_members_group_id_foreign" foreign key ("group_id") references "user_groups" ("id") on update cascade on delete cascade`)
    this.addSql(`alter table "user_group_members" add constraint "user_group_members_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "user_group_members" enable row level security`)
    this.addSql(`alter table "user_group_members" force row level security`)
    this.addSql(`create policy "user_group_members_tenant" on "user_group_members" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "user_group_members_fleet" on "user_group_members" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "user_roles" add constraint "user_roles_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "user_roles" add constraint "user_roles_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade`)
    this.addSql(`alter table "user_roles" add constraint "user_roles_role_id_foreign" foreign key ("role_id") references "roles" ("id") on delete cascade`)
    this.addSql(`alter table "user_roles" add constraint "user_roles_product_id_foreign" foreign key ("product_id") references "products" ("id") on delete cascade`)
    this.addSql(`alter table "user_roles" add constraint "user_roles_tenant_id_foreign" foreign key ("tenant_id") references "tenants" ("id") on delete cascade`)
    this.addSql(`alter table "user_roles" enable row level security`)
    this.addSql(`alter table "user_roles" force row level security`)
    this.addSql(`create policy "user_roles_tenant" on "user_roles" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "user_roles_fleet" on "user_roles" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "worksites" add constraint "worksites_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "worksites" add constraint "worksites_customer_id_foreign" foreign key ("customer_id") references "customers" ("id") on delete cascade`)
    this.addSql(`alter table "worksites" enable row level security`)
    this.addSql(`alter table "worksites" force row level security`)
    this.addSql(`create policy "worksites_tenant" on "worksites" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "worksites_fleet" on "worksites" to "muster_fleet" using (true) with check (true)`)

    this.addSql(`alter table "contact_customers" add constraint "contact_customers_organization_id_foreign" foreign key ("organization_id") references "organizations" ("id") on delete cascade`)
    this.addSql(`alter table "contact_customers" add constraint "contact_customers_contact_id_foreign" foreign key ("contact_id") references "contacts" ("id") on delete cascade`)
    this.addSql(`alter table "contact_customers" add constraint "contact_customers_customer_id_foreign" foreign key ("customer_id") references "customers" ("id") on delete cascade`)
    this.addSql(`alter table "contact_customers" add constraint "contact_customers_worksite_id_foreign" foreign key ("worksite_id") references "worksites" ("id") on delete cascade`)
    this.addSql(`alter table "contact_customers" add constraint "contact_customers_contact_role_id_foreign" foreign key ("contact_role_id") references "contact_roles" ("id") on delete cascade`)
    this.addSql(`alter table "contact_customers" enable row level security`)
    this.addSql(`alter table "contact_customers" force row level security`)
    this.addSql(`create policy "contact_customers_tenant" on "contact_customers" to public using (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif")) with check (organization_id = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`)
    this.addSql(`create policy "contact_customers_fleet" on "contact_customers" to "muster_fleet" using (true) with check (true)`)
  }

}
