import type { DeliveryPurpose } from '../entities/states.ts'

/** Purposes by which somebody is given access; pointless for whoever has it already, and each takes the place of the others. */
export const ACCESS_PURPOSES = ['credentials', 'operatorCredentials', 'invitation'] as const satisfies DeliveryPurpose[]
const GIVES_ACCESS = `(${ACCESS_PURPOSES.map((purpose) => `'${purpose}'`).join(', ')})`

/**
 * SQL: whether a column holds one of these words, in a form that no index answers. Planned while few are in such a state, a
 * statement would look for all of them instead of for the person's own.
 */
const among = (column: string, words: readonly string[]): string => `case ${column} ${words.map((word) => `when '${word}' then true`).join(' ')} else false end`

/**
 * SQL: whether a user `u` holds one role only, and that is one that cannot be invited alone (spec C11). What came along with a product that
 * everybody is linked to counts for those alone who hold nothing else: it says nothing about the person.
 */
const NOT_INVITABLE_ALONE = `(select case when count(*) filter (where p.id is null) > 0
        then count(distinct r.id) filter (where p.id is null) = 1 and bool_and(not r.invitable_alone) filter (where p.id is null)
        else count(distinct r.id) = 1 and bool_and(not r.invitable_alone) end
      from user_roles l join roles r on r.id = l.role_id
      left join products p on p.id = l.product_id and p.auto_link and p.role_id = l.role_id where l.user_id = u.id)`

/** An alert that has ended would send somebody to look for what is right again. */
const ALERT_OVER = 'alert_over'

/** Why the rest of a release is held: its first wave is looked at first (spec D6). */
export const FIRST_WAVE = 'first_wave'

/**
 * What is re-checked at sending (spec D7), as SQL: null where the mail may leave, else the reason why not.
 * For a statement with deliveries d, organizations o, and by left joins users u, contacts c. Asked at the claim and
 * again in the statement that lets the mail leave, and before a release is confirmed (choose.ts).
 */
export const OBJECTION = `
  case
    when d.user_id is null then case
      when coalesce(d.recipient, '') = '' then 'email_missing'
      when d.purpose = 'feedAlert' and exists (select from feed_alerts a where a.id = d.feed_alert_id and ${among('a.state', ['cleared'])}) then '${ALERT_OVER}'
      when d.purpose = 'feedAllClear' and not exists (
        select from deliveries told where told.feed_alert_id = d.feed_alert_id and told.purpose = 'feedAlert' and told.recipient = d.recipient
          and ${among('told.state', ['sending', 'sent', 'unknown'])}) then 'alert_not_told' end
    when u.state <> 'active' then 'user_inactive'
    when c.state <> 'active' then 'contact_inactive'
    when d.purpose <> 'passwordChanged' and o.settings #>> '{login,sso}' = 'true' then 'organization_uses_sso'
    when d.purpose = 'invitation' and (u.password_chosen_at is not null or exists (
      select from invitations i where i.user_id = d.user_id and ${among('i.state', ['in_progress', 'completed'])})) then 'already_registered'
    when d.purpose in ('credentials', 'operatorCredentials') and u.password_chosen_at is not null then 'already_registered'
    when d.purpose in ${GIVES_ACCESS} and u.last_login_at is not null then 'already_logged_in'
    when d.purpose = 'invitation' and exists (
      select from invitations i where i.user_id = d.user_id and i.epoch = d.epoch and ${among('i.state', ['revoked'])}) then 'invitation_revoked'
    when d.purpose = 'invitation' and ${NOT_INVITABLE_ALONE} then 'not_invitable_alone'
    when coalesce(d.deliver_to, case when d.purpose <> 'operatorCredentials' then c.email end, '') = '' then 'email_missing'
    when d.purpose in ${GIVES_ACCESS} and (u.profile_id is null or u.license_id is null or not exists (
      select from user_group_members m where m.user_id = u.id)) then 'not_loginable'
    when d.release_id is not null then (
      select case when r.state = 'frozen' then 'release_frozen' when r.state = 'cancelled' then 'release_cancelled'
        when r.first_wave > 0 and r.rest_released_at is null and not d.first_wave then '${FIRST_WAVE}' end
      from releases r where r.id = d.release_id)
  end`

/** The tables that OBJECTION speaks of, to be joined to deliveries d. */
export const JOINS = `
  join organizations o on o.id = d.organization_id
  left join users u on u.id = d.user_id
  left join contacts c on c.id = u.contact_id`

/** Where the mail goes: to the operator who asked for it, or the person's address of this moment, or the operator's who is told of an import. */
export const ADDRESS = 'coalesce(d.deliver_to, c.email, d.recipient)'

/** Every reason for which a delivery is cancelled or held at sending, in words for the ledger. */
export const OBJECTIONS: Readonly<Record<string, string>> = {
  user_inactive: 'The user is deactivated.',
  contact_inactive: 'The contact is deactivated.',
  organization_uses_sso: 'The organization signs in through SSO.',
  already_logged_in: 'The person has logged in already.',
  already_registered: 'The person has registered already.',
  invitation_revoked: 'The invitation was revoked.',
  not_invitable_alone: 'The only role of the person is one that is not invited alone.',
  email_missing: 'There is no e-mail address.',
  release_frozen: 'The release is frozen.',
  release_cancelled: 'The release was cancelled.',
  first_wave: 'It leaves when the first wave of the release has been looked at.',
  alert_over: 'The alert was over before it could be told.',
  alert_not_told: 'Nobody was told there of what is over.',
  not_loginable: 'Without a group, a profile and a license the person cannot log in.',
}

/** The mail was owed by another way later on: credentials in place of an invitation, say. */
export const REPLACED = 'replaced'

/** The import that owed the mail was undone before it left (spec E4). */
export const IMPORT_UNDONE = 'import_undone'

/** What a notice asks for was decided before it left. */
export const IMPORT_DECIDED = 'import_decided'

/** Every reason of ours that may stand at a delivery, in words for people. */
export const REASONS: Readonly<Record<string, string>> = { ...OBJECTIONS, [REPLACED]: 'Access was given by another way since.', [IMPORT_UNDONE]: 'The import that owed it was undone.', [IMPORT_DECIDED]: 'What it asks for was decided before it left.' }

/** The one objection that mends itself when somebody gives what is missing: the delivery is held instead of cancelled. */
export const MENDABLE = 'not_loginable'

/** Objections for which a delivery is held instead of cancelled. A release lets its own go when it is resumed, or its first wave is through. */
export const HOLDING: readonly string[] = [MENDABLE, 'release_frozen', FIRST_WAVE]
