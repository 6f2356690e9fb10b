import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose, IdentityDecisionKind, IdentityDecisionState } from '../entities/states.ts'
import type { Chunk } from './commit.ts'
import { furtherTable, planTable, rowsTable } from './stagedRow.ts'

/** SQL over a decision `d` and its contact `c`: whether there is nothing left to decide, because the person was changed otherwise. */
const OVERTAKEN = `(d.kind = 'moved' and (c.state = 'inactive' or c.email_key = lower(d.given ->> 'email')) or d.kind = 'deactivated' and c.state = 'active')`

/**
 * Has a person asked about the rows of a chunk that are held for who somebody is (spec B4): a new address of somebody who was mailed
 * (`moved`), somebody deactivated who is back where the organization wants to be asked (`deactivated`). One question waits for a contact
 * and kind; a later file updates it. Those of which the file no longer says so, or whose person was changed since, lapse.
 * Call it behind the chunk's contacts and users, in its transaction; running it again changes nothing.
 */
export async function raiseDecisions(tx: Transaction, importId: string, chunk: Chunk): Promise<void> {
  const bounds = [chunk.first, chunk.last]
  const [plan, rows] = [planTable(importId), rowsTable(importId)]
  await tx.run(
    `insert into identity_decisions (organization_id, import_id, contact_id, kind, row, given, state)
     select ${tx.organizationId}, ${importId}, p.contact_id, case p.problem when 'identity.moved' then 'moved' else 'deactivated' end, p.row,
       jsonb_build_object('firstName', r.first_name, 'lastName', r.last_name, 'email', r.email), 'waiting'
     from ${plan} p join ${rows} r on r.row = p.row join contacts c on c.id = p.contact_id
     where p.row between $1 and $2 and p.fate = 'held' and p.problem in ('identity.moved', 'identity.deactivated') and not exists (select from ${furtherTable(importId)} x where x.row = p.row)
     order by p.contact_id
     on conflict (contact_id, kind) where state = 'waiting' do update set import_id = excluded.import_id, row = excluded.row, given = excluded.given`,
    bounds,
  )
  const [some] = await tx.query<{ waiting: boolean }>(`select exists (select from identity_decisions where state = 'waiting') as waiting`)
  if (!some!.waiting) return
  // A row without an address says nothing of where the person is reached; one that is rejected says nothing at all.
  await tx.run(
    `update identity_decisions d set state = 'lapsed', decided_at = now() from contacts c, ${plan} p join ${rows} r on r.row = p.row
     where d.state = 'waiting' and d.kind = 'moved' and c.id = d.contact_id and p.contact_id = d.contact_id and p.row between $1 and $2
       and p.fate in ('update', 'unchanged') and r.email_key is not null and p.problem is distinct from 'identity.moved'`,
    bounds,
  )
  await tx.run(`update identity_decisions d set state = 'lapsed', decided_at = now() from contacts c where d.state = 'waiting' and c.id = d.contact_id and ${OVERTAKEN}`)
}

/** Lets questions lapse that an earlier file of the same feed raised, where this one is full and names the person no more. At the import's end, before its plan is dropped. */
export async function lapseUnnamed(tx: Transaction, importId: string): Promise<void> {
  // A person about whom a question waits is always planned, whether the row is known from the night before or not (knownRows.ts).
  await tx.run(
    `update identity_decisions d set state = 'lapsed', decided_at = now() from imports earlier, imports this
     where d.state = 'waiting' and earlier.id = d.import_id and this.id = $1 and earlier.feed_id = this.feed_id and earlier.id < this.id and this.options #>> '{feed,mode}' = 'full'
       and not exists (select from ${planTable(importId)} p where p.contact_id = d.contact_id)`,
    [importId],
  )
}

/** A question about who somebody is, with both sides. Instants are ISO 8601 in UTC. */
export type IdentityQuestion = {
  id: string
  kind: IdentityDecisionKind
  state: IdentityDecisionState
  contactId: string
  /** The file that asks, and its row. */
  importId: string | null
  file: string | null
  row: number
  known: { firstName: string; lastName: string; externalId: string | null; email: string | null; state: 'active' | 'inactive'; lastMail: { purpose: DeliveryPurpose; to: string | null; at: string } | null }
  given: { firstName: string | null; lastName: string | null; email: string | null }
  askedAt: string
  decidedBy: string | null
  decidedAt: string | null
}

type Instants = { askedAt: Date; decidedAt: Date | null; mailAt: Date | null }
type Raw = Omit<IdentityQuestion, 'known' | 'askedAt' | 'decidedAt'> & Omit<IdentityQuestion['known'], 'state' | 'lastMail'> & Instants & { contactState: 'active' | 'inactive'; purpose: DeliveryPurpose | null; mailTo: string | null }

const QUESTION = `select d.id, d.kind, d.state, d.contact_id as "contactId", d.import_id as "importId", i.file_name as file, d.row, d.given, d.created_at as "askedAt", d.decided_by as "decidedBy",
    d.decided_at as "decidedAt", c.first_name as "firstName", c.last_name as "lastName", c.external_id as "externalId", c.email, c.state as "contactState", m.purpose, m.recipient as "mailTo", m.at as "mailAt"
  from identity_decisions d join contacts c on c.id = d.contact_id left join imports i on i.id = d.import_id
  left join lateral (
    select v.purpose, v.recipient, coalesce(v.sent_at, v.updated_at) as at from users u join deliveries v on v.user_id = u.id
    where u.contact_id = c.id and v.state in ('sending', 'sent', 'unknown', 'bounced') order by 3 desc limit 1
  ) m on true`

function questionOf({ contactState, purpose, mailTo, mailAt, firstName, lastName, externalId, email, askedAt, decidedAt, given, ...rest }: Raw): IdentityQuestion {
  const lastMail = purpose === null ? null : { purpose, to: mailTo, at: mailAt!.toISOString() }
  return {
    ...rest,
    known: { firstName, lastName, externalId, email, state: contactState, lastMail },
    given: { firstName: given.firstName, lastName: given.lastName, email: given.email },
    askedAt: askedAt.toISOString(),
    decidedAt: decidedAt?.toISOString() ?? null,
  }
}

/** Questions of the organization, the oldest first: those that wait for a person, or those that were declined. */
export async function listDecisions(tx: Transaction, which: 'waiting' | 'rejected' = 'waiting'): Promise<IdentityQuestion[]> {
  const rows = await tx.query<Raw>(`${QUESTION} where d.state = $1 and (d.state <> 'waiting' or not ${OVERTAKEN}) order by d.created_at, d.id`, [which])
  return rows.map(questionOf)
}

/**
 * Takes these questions for this transaction: their contacts are locked in the order of ids, then the questions. Gives them in the order of ids, those
 * that nothing is left to decide about as `lapsed`. Ids of none are left out.
 */
export async function lockDecisions(tx: Transaction, ids: readonly string[]): Promise<IdentityQuestion[]> {
  await tx.run('select from contacts where id in (select contact_id from identity_decisions where id = any ($1::bigint[])) order by id for update', [[...ids]])
  await tx.run('select from identity_decisions where id = any ($1::bigint[]) order by id for update', [[...ids]])
  const rows = await tx.query<Raw & { overtaken: boolean }>(`select q.*, (select ${OVERTAKEN} from identity_decisions d join contacts c on c.id = d.contact_id where d.id = q.id) as overtaken from (${QUESTION} where d.id = any ($1::bigint[])) q order by q.id`, [[...ids]])
  return rows.map(({ overtaken, ...row }) => questionOf(overtaken && row.state === 'waiting' ? { ...row, state: 'lapsed' } : row))
}

/** Asks again what was declined, so that it can be accepted; a question that waits already is taken. Gives the ids of the new ones, in the order given. */
export async function askAgain(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  const asked: string[] = []
  for (const id of ids) {
    const [row] = await tx.query<{ id: string }>(
      `insert into identity_decisions (organization_id, import_id, contact_id, kind, row, given, state)
       select organization_id, import_id, contact_id, kind, row, given, 'waiting' from identity_decisions where id = $1
       on conflict (contact_id, kind) where state = 'waiting' do update set given = excluded.given, row = excluded.row, import_id = excluded.import_id returning id`,
      [id],
    )
    asked.push(row!.id)
  }
  return asked
}

/** Settles questions that wait. */
export async function settleDecisions(tx: Transaction, ids: readonly string[], verdict: 'accepted' | 'rejected', operator: string): Promise<void> {
  await tx.run(`update identity_decisions set state = $2, decided_by = $3, decided_at = now() where id = any ($1::bigint[]) and state = 'waiting'`, [[...ids], verdict, operator])
}

/** Who has an address, other than this contact; null where nobody has. */
export async function holderOf(tx: Transaction, email: string, contactId: string): Promise<{ id: string; name: string; externalId: string | null } | null> {
  const [other] = await tx.query<{ id: string; name: string; externalId: string | null }>(
    `select id, concat_ws(' ', first_name, last_name) as name, external_id as "externalId" from contacts where email_key = lower($1) and id <> $2`,
    [email, contactId],
  )
  return other ?? null
}

/** Enters the address that was accepted. */
export async function moveContact(tx: Transaction, contactId: string, email: string): Promise<void> {
  await tx.run('update contacts set email = $2, email_key = lower($2), version = version + 1, updated_at = now() where id = $1', [contactId, email])
}

/** Activates a contact that is deactivated and has no user. */
export async function activateContact(tx: Transaction, contactId: string): Promise<void> {
  await tx.run(`update contacts set state = 'active', version = version + 1, updated_at = now() where id = $1 and state = 'inactive'`, [contactId])
}
