/**
 * What is re-checked at sending (spec D7), as SQL: null where the mail may leave, else the reason why not.
 * For a statement with deliveries d, organizations o, and by left joins users u, contacts c. Asked at the claim and
 * again in the statement that lets the mail leave.
 */
export const OBJECTION = `
  case
    when d.user_id is null then case when coalesce(d.recipient, '') = '' then 'email_missing' end
    when u.state <> 'active' then 'user_inactive'
    when c.state <> 'active' then 'contact_inactive'
    when o.settings #>> '{login,sso}' = 'true' then 'organization_uses_sso'
    when u.last_login_at is not null then 'already_logged_in'
    when d.purpose = 'invitation' and exists (
      select from invitations i where i.user_id = d.user_id and i.state in ('in_progress', 'completed')) then 'already_registered'
    when d.purpose = 'invitation' and exists (
      select from invitations i where i.user_id = d.user_id and i.epoch = d.epoch and i.state = 'revoked') then 'invitation_revoked'
    when coalesce(c.email, '') = '' then 'email_missing'
    when u.profile_id is null or u.license_id is null or not exists (
      select from user_group_members m where m.user_id = u.id) then 'not_loginable'
  end`

/** The tables that OBJECTION speaks of, to be joined to deliveries d. */
export const JOINS = `
  join organizations o on o.id = d.organization_id
  left join users u on u.id = d.user_id
  left join contacts c on c.id = u.contact_id`

/** Where the mail goes: the person's address of this moment, or the operator's. */
export const ADDRESS = 'coalesce(c.email, d.recipient)'

/** Every reason for which a delivery is cancelled or held at sending, in words for the ledger. */
export const OBJECTIONS: Readonly<Record<string, string>> = {
  user_inactive: 'The user is deactivated.',
  contact_inactive: 'The contact is deactivated.',
  organization_uses_sso: 'The organization signs in through SSO.',
  already_logged_in: 'The person has logged in already.',
  already_registered: 'The person has registered already.',
  invitation_revoked: 'The invitation was revoked.',
  email_missing: 'There is no e-mail address.',
  not_loginable: 'Without a group, a profile and a license the person cannot log in.',
}

/** The one objection that can be mended: the delivery is held instead of cancelled. */
export const MENDABLE = 'not_loginable'
