/** SQL: whether a user `u` of contact `c` in organization `o` is there at all: active, the contact too, and no SSO. What an account lacks beyond that can be given. */
export const ENTITLED = `(u.state = 'active' and c.state = 'active' and not (o.settings -> 'login' ->> 'sso')::boolean)`

/**
 * SQL: whether a user `u` of contact `c` in organization `o` can log in (spec C2): group, profile, license, active, not SSO.
 * The one place where it is written for reading; deliveries re-check the same at sending (deliveries/recheck.ts).
 */
export const LOGINABLE = `(${ENTITLED} and u.profile_id is not null and u.license_id is not null
  and exists (select from user_group_members lm where lm.user_id = u.id))`
