import type { AccessParts } from './accessParts.ts'

/**
 * Records that somebody who is signed in has accepted the notice. An invitation in progress is completed by it, and the mail with the link to
 * sign in is owed with it; whoever was mailed credentials has none, and gets none.
 * @returns true for the one call that did it
 */
export function acceptNotice({ database, owe }: Pick<AccessParts, 'database' | 'owe'>, organizationId: string, userId: string): Promise<boolean> {
  return database.tenant(organizationId, async (tx) => {
    const accepted = await tx.run(`update users set notice_accepted_at = now() where id = $1 and state = 'active' and notice_accepted_at is null`, [userId])
    if (accepted === 0) return false
    const completed = await tx.run(`update invitations set state = 'completed' where user_id = $1 and state = 'in_progress'`, [userId])
    if (completed > 0) await owe(tx, 'welcome', userId)
    return true
  })
}
