import type { Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import { ISSUES, type IssueCode } from '../rules/catalog.ts'
import { customersDiffer, speaksOfCustomers } from './customerLinks.ts'
import { addFurtherMatches, createFurtherTable, moveFurther, settleFurther } from './furtherAccounts.ts'
import { leavePersonalDetails } from './personalDetails.ts'
import { furtherTable, planTable, rowsTable, type StagedColumn } from './stagedRow.ts'

/** Columns of a contact that a file can change, each null-able but the names. */
const CONTACT_COLUMNS = ['external_id', 'first_name', 'last_name', 'email', 'phone'] as const

/**
 * Decides what becomes of every staged row: the stored plan that preview shows and commit carries out exactly (spec E1, B4).
 * The match ladder is external id, then e-mail, then - for those who have neither, among those who have neither - the name.
 * Set-based, in the caller's transaction; a plan that was there is replaced.
 * @param staged the columns that the file had; what was absent changes nothing (B8)
 */
export async function planContacts(tx: Transaction, importId: string, staged: ReadonlySet<StagedColumn>, settings: Settings): Promise<void> {
  await tx.run("set local work_mem = '128MB'")
  await tx.run(`drop table if exists ${planTable(importId)}`)
  await createFurtherTable(tx, importId)
  await findDuplicates(tx, importId, staged)
  if (staged.has('account_kind')) await moveFurther(tx, importId, settings.defaults.accountKind)
  await leavePersonalDetails(tx, importId, staged, settings)
  const nameOnly = await hasNameOnlyRows(tx, importId, staged)
  await tx.run(planStatement(importId, staged, settings, nameOnly))
  await tx.run(`create unique index on ${planTable(importId)} (row)`)
  await tx.run(`analyze ${planTable(importId)}`)
  if (staged.has('external_id') && staged.has('email_key')) await rejectRepeatedMatches(tx, importId, staged.has('account_kind') ? settings.defaults.accountKind : null)
  if (staged.has('account_kind')) await settleFurther(tx, importId)
  await tellProblems(tx, importId)
}

/**
 * Rows of which one names a known person by External ID and the other by address: the later one repeats the earlier, or makes a further account.
 * @param usualKind the account kind of a row that names none; null where the file does not speak of kinds
 */
async function rejectRepeatedMatches(tx: Transaction, importId: string, usualKind: string | null): Promise<void> {
  const plan = planTable(importId)
  const known = (alias: string): string => `${alias}.fate in ('update', 'unchanged', 'held')`
  await tx.run('drop table if exists repeated_matches')
  await tx.run(
    `create temporary table repeated_matches on commit drop as
     select greatest(m.row, c.row) as row, least(m.row, c.row) as first, m.contact_id from ${plan} m join ${plan} c on c.contact_id = m.contact_id
     where not m.by_id and ${known('m')} and c.by_id and ${known('c')}`,
  )
  const [found] = await tx.query<{ some: boolean }>('select exists (select from repeated_matches) as some')
  if (!found!.some) return
  if (usualKind !== null) await addFurtherMatches(tx, importId, usualKind)
  await tx.run(
    `update ${plan} p set fate = 'rejected', problem = 'duplicate.in_file', reactivate = false, detail = jsonb_build_object('firstRow', repeated.first, 'field', 'person by External ID and Email')
     from repeated_matches repeated where p.row = repeated.row and not exists (select from ${furtherTable(importId)} x where x.row = p.row)`,
  )
}

/** Rows that repeat a person of an earlier row, in a table of their own since there are few. */
async function findDuplicates(tx: Transaction, importId: string, staged: ReadonlySet<StagedColumn>): Promise<void> {
  const rows = rowsTable(importId)
  await tx.run('create temporary table if not exists duplicate_rows (row integer, first_row integer, field text) on commit drop')
  await tx.run('truncate duplicate_rows')
  const nobodyElse = [staged.has('external_id') ? 'external_id is null' : '', staged.has('email_key') ? 'email_key is null' : ''].filter(Boolean).join(' and ') || 'true'
  const keys: [field: string, columns: string, condition: string][] = [
    ...(staged.has('external_id') ? [['External ID', 'external_id', 'external_id is not null'] as [string, string, string]] : []),
    ...(staged.has('email_key') ? [['Email', 'email_key', 'email_key is not null'] as [string, string, string]] : []),
    // Each by itself: "Ana Bo" Lee is not Ana "Bo Lee".
    ['First Name and Last Name', 'first_name, last_name', nobodyElse],
  ]
  for (const [field, columns, condition] of keys) {
    await tx.run(
      `insert into duplicate_rows
       select r.row, d.first_row, '${field}' from ${rows} r
       join (select ${columns}, min(row) as first_row from ${rows} where verdict = 'o' and ${condition} group by ${columns} having count(*) > 1) d using (${columns})
       where r.verdict = 'o' and ${condition} and r.row <> d.first_row and not exists (select from duplicate_rows seen where seen.row = r.row)`,
    )
  }
  await tx.run('analyze duplicate_rows')
}

async function hasNameOnlyRows(tx: Transaction, importId: string, staged: ReadonlySet<StagedColumn>): Promise<boolean> {
  const nobodyElse = [staged.has('external_id') ? 'external_id is null' : '', staged.has('email_key') ? 'email_key is null' : ''].filter(Boolean).join(' and ') || 'true'
  const [found] = await tx.query<{ found: boolean }>(`select exists (select from ${rowsTable(importId)} where verdict = 'o' and ${nobodyElse}) as found`)
  return found!.found
}

/** c is the contact with the row's external id, m the one with its e-mail, n the one with its name; t reads a column of the one that counts. */
function planStatement(importId: string, staged: ReadonlySet<StagedColumn>, settings: Settings, nameOnly: boolean): string {
  const byId = staged.has('external_id')
  const byMail = staged.has('email_key')
  const sources = [...(byId ? ['c'] : []), ...(byMail ? ['m'] : []), ...(nameOnly ? ['n'] : [])]
  const t = (column: string): string =>
    sources.length === 0 ? 'null' : sources.length === 1 ? `${sources[0]}.${column}` : `case ${sources.slice(0, -1).map((source) => `when ${source}.id is not null then ${source}.${column}`).join(' ')} else ${sources.at(-1)}.${column} end`

  const joins = [
    byId ? 'left join contacts c on c.external_id = r.external_id' : '',
    byMail ? 'left join contacts m on m.email_key = r.email_key' : '',
    nameOnly
      ? `left join contacts n on n.last_name = r.last_name and n.first_name = r.first_name and n.external_id is null and n.email_key is null
         ${byId ? 'and r.external_id is null' : ''} ${byMail ? 'and r.email_key is null' : ''}`
      : '',
  ].join('\n')

  const mailOfAnother = byId && byMail ? 'c.id is not null and m.id is not null and m.id <> c.id and m.external_id is null' : 'false'
  const idOfAnother = byId && byMail ? 'm.id is not null and m.id is distinct from c.id and r.external_id is not null and m.external_id is not null' : 'false'
  const newMail = byId && byMail ? 'c.id is not null and c.email_key is not null and r.email_key is not null and c.email_key <> r.email_key' : 'false'
  const wasMailed = byId ? `exists (select from users u join deliveries d on d.user_id = u.id where u.contact_id = c.id and d.state in ('sending', 'sent', 'unknown', 'bounced'))` : 'false'
  // Somebody who comes back under another address is as much in doubt as somebody who was never away.
  const backElsewhere = settings.matching.deactivated === 'reactivate' ? `${newMail} and ${wasMailed}` : 'false'
  const inactive = `${t('state')} = 'inactive' and not (${backElsewhere})`
  const declined = byId && byMail ? `exists (select from identity_decisions i where i.contact_id = c.id and i.kind = 'moved' and i.state = 'rejected' and lower(i.given ->> 'email') = r.email_key)` : 'false'
  // Decided about as the person still stands; whoever was changed since is asked about anew.
  const keptAway = `exists (select from identity_decisions i where i.contact_id = (${t('id')})::bigint and i.kind = 'deactivated' and i.state = 'rejected' and i.decided_at >= ${t('updated_at')})`
  const whenInactive = { reactivate: "'update'", skip: "'unchanged'", ask: `case when ${keptAway} then 'unchanged' else 'held' end` }[settings.matching.deactivated]
  const inactiveProblem = { reactivate: "'identity.reactivated'", skip: "'identity.deactivated_skipped'", ask: `case when ${keptAway} then 'identity.deactivated_skipped' else 'identity.deactivated' end` }[settings.matching.deactivated]
  const changed = changes(staged, t).join(' or ') || 'false'

  return `
    create table ${planTable(importId)} with (autovacuum_enabled = off) as
    select row, fate, problem, detail, contact_version, reactivate, by_id,
      case when fate = 'create' then nextval('contacts_id_seq') else matched end as contact_id
    from (
      select r.row,
        case
          when r.verdict = 'b' then 'blank'
          when r.verdict = 'r' or d.row is not null or ${mailOfAnother} or ${idOfAnother} then 'rejected'
          when ${t('id')} is null then 'create'
          when ${inactive} then ${whenInactive}
          when ${newMail} and ${wasMailed} then case when ${declined} then 'unchanged' else 'held' end
          when ${changed} then 'update'
          else 'unchanged'
        end as fate,
        case
          when r.verdict <> 'o' then null
          when d.row is not null then 'duplicate.in_file'
          when ${mailOfAnother} then 'duplicate.email'
          when ${idOfAnother} then 'identity.conflict'
          when ${inactive} then ${inactiveProblem}
          when ${newMail} and ${wasMailed} then case when ${declined} then 'identity.move_declined' else 'identity.moved' end
        end as problem,
        case
          when r.verdict <> 'o' then null
          when d.row is not null then jsonb_build_object('firstRow', d.first_row, 'field', d.field)
          ${byId && byMail ? `when ${mailOfAnother} then jsonb_build_object('other', coalesce('External ID ' || m.external_id, m.first_name || ' ' || m.last_name))` : ''}
          ${byId && byMail ? `when ${idOfAnother} then jsonb_build_object('other', m.external_id, 'given', r.external_id)` : ''}
          ${byId && byMail ? `when ${newMail} then jsonb_build_object('given', r.external_id, 'old', c.email)` : ''}
        end as detail,
        coalesce(${inactive}, false) and '${settings.matching.deactivated}' = 'reactivate' as reactivate,
        (${t('id')})::bigint as matched,
        ${byId ? 'c.id is not null' : 'false'} as by_id,
        (${t('version')})::integer as contact_version
      from ${rowsTable(importId)} r
      left join duplicate_rows d on d.row = r.row
      ${joins}
      order by r.row offset 0
    ) planned`
}

/** Conditions, any of which means that the row changes the matched contact. */
function changes(staged: ReadonlySet<StagedColumn>, t: (column: string) => string): string[] {
  const conditions = CONTACT_COLUMNS.filter((column) => staged.has(column)).map((column) => {
    const differs = `(r.${column} is not null and r.${column} is distinct from ${t(column)})`
    return staged.has('clears') ? `${differs} or ('${column}' = any (r.clears) and ${t(column)} is not null)` : differs
  })
  if (staged.has('attributes')) conditions.push(`(r.attributes is not null and not coalesce(${t('attributes')}, '{}') @> r.attributes)`)
  if (speaksOfCustomers(staged)) conditions.push(customersDiffer(t('id')))
  return conditions
}

/** Problems that only the whole file and the database together show. */
async function tellProblems(tx: Transaction, importId: string): Promise<void> {
  const warnings = (Object.keys(ISSUES) as IssueCode[]).filter((code) => ISSUES[code].severity === 'warning')
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, header, field, code, severity, value, detail)
     select $1, $2, p.row, case when p.problem = 'duplicate.in_file' then p.detail ->> 'field' when p.problem in ('duplicate.first_row', 'identity.reactivated', 'identity.deactivated', 'identity.deactivated_skipped') then null else 'Email' end,
       case when p.problem in ('duplicate.email', 'identity.conflict', 'identity.moved', 'identity.move_declined') or p.detail ->> 'field' = 'Email' then 'email'
            when p.detail ->> 'field' = 'External ID' then 'externalId' end,
       p.problem, case when p.problem = any ($3) then 'warning' else 'error' end,
       case when p.detail ->> 'field' = 'External ID' then r.external_id when p.problem in ('duplicate.email', 'identity.conflict', 'identity.moved', 'identity.move_declined', 'duplicate.in_file') then r.email end, p.detail
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     where p.problem is not null`,
    [tx.organizationId, importId, warnings],
  )
}
