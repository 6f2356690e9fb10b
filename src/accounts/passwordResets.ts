/** Minutes for which a mailed link to choose a new password works, from the moment its mail leaves. */
export const RESET_MINUTES = 60

/** What is stored when the mail of a password reset leaves. */
export type ResetLaunch = { tokenHash: string }

/**
 * SQL that makes mailed links to choose a new password work (spec D4), for the statement that lets their mails leave: stores the
 * token's hash, counts the lifetime from now, and makes every earlier link of the same person void.
 * @param leaving a table of user_id, epoch, and sealed: a ResetLaunch as jsonb
 */
export const launchResetSql = (leaving: string): string[] => [
  `delete from password_resets r using ${leaving} l where r.user_id = l.user_id and r.epoch < l.epoch and r.used_at is null`,
  `insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at)
   select u.organization_id, l.user_id, l.epoch, l.sealed ->> 'tokenHash', now() + make_interval(mins => ${RESET_MINUTES})
   from ${leaving} l join users u on u.id = l.user_id
   on conflict (user_id, epoch) do update set token_hash = excluded.token_hash, expires_at = excluded.expires_at
   where password_resets.used_at is null`,
]
