import type { Transaction } from '../entities/database.ts'
import { planHash } from '../importers/planHash.ts'
import { decisionFault, type DecisionFault } from '../organizations/administrators.ts'
import { audit } from '../organizations/audit.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import type { ChangeCounts } from '../rules/feedPolicy.ts'
import { clearHold, feedOfImport, wakeFeedOf, type ImportsFeed } from './feedOfImport.ts'
import { cancelImport, finishImport } from './finishImport.ts'
import { plannedBy } from './holdImport.ts'
import { beginCommit } from './stageImport.ts'

/** Why a held import is not decided so, or not by this person. Nothing was changed. */
export class DecisionRefused extends Error {
  readonly code: DecisionFault['code'] | 'import.not_held' | 'decision.plan_changed'
  readonly hint: string

  constructor(fault: { code: DecisionRefused['code']; message: string; hint: string }) {
    super(fault.message)
    this.name = 'DecisionRefused'
    this.code = fault.code
    this.hint = fault.hint
  }
}

/** Who gives up what nobody decides, in the audit trail. */
const BY_ITSELF = 'muster'

/**
 * Carries out what a feed's import is held for (spec A6): the plan that was shown, and no other. Whoever was changed since is stale and left alone, as
 * in every commit. What is carried out by the settings and the catalog is carried out by those that it was planned by, or not at all.
 * @param options.plan the hash of the plan that the operator looked at; default: the one that was held
 * @returns the chunks to wake; throws DecisionRefused, and SeatsGone where seats went since
 */
export async function approveImport(tx: Transaction, importId: string, operator: string, options: { plan?: string } = {}): Promise<number[]> {
  const held = await lockHeld(tx, importId)
  const feed = await mayDecide(tx, importId, operator)
  const by = plannedBy((await readOrganization(tx)).settings, await loadCatalog(tx))
  if (by !== held.plannedBy) {
    throw new DecisionRefused({
      code: 'decision.plan_changed', message: `Settings or catalog of the organization were changed since import ${importId} was planned: carried out now, it would not do what was looked at.`,
      hint: `Give it up and have the file sent again, to be planned anew: ./muster feed reject ${importId}`,
    })
  }
  const now = await planHash(tx, importId, by)
  if (now !== held.planHash || (options.plan !== undefined && options.plan !== now)) {
    throw new DecisionRefused({ code: 'decision.plan_changed', message: `What import ${importId} would change is not what was looked at.`, hint: `Look at it again: ./muster import show ${importId}` })
  }
  await settle(tx, importId, 'approved', operator)
  const chunks = await beginCommit(tx, importId)
  await clearHold(tx, importId)
  await wakeFeedOf(tx, importId)
  // A file in which nothing is new has nothing to be committed.
  if (chunks.length === 0) await finishImport(tx, importId)
  await note(tx, importId, feed, operator, 'import.approve', { plan: now, changes: held.changes })
  return chunks
}

/** Gives a held import up: nothing of it is carried out. Whoever declared the feed may do so, too. Throws DecisionRefused. */
export async function rejectImport(tx: Transaction, importId: string, operator: string): Promise<void> {
  const held = await lockHeld(tx, importId)
  const feed = await mayDecide(tx, importId, operator, { author: true })
  await giveUp(tx, importId, 'rejected', operator)
  await note(tx, importId, feed, operator, 'import.reject', { plan: held.planHash })
}

/** Gives a held import up that nobody has decided in time, by the database's clock; false where that is not so. */
export async function expireHolds(tx: Transaction, importId: string): Promise<boolean> {
  const [late] = await tx.query(`select from imports where id = $1 and state = 'held' and hold_until <= now() for no key update`, [importId])
  if (!late) return false
  await giveUp(tx, importId, 'expired', BY_ITSELF)
  await note(tx, importId, await feedOfImport(tx, importId), BY_ITSELF, 'import.expire', {})
  return true
}

/** Gives a held import up because a newer full file of its feed says it better; false where it is not held. */
export async function supersedeImport(tx: Transaction, importId: string): Promise<boolean> {
  const [held] = await tx.query(`select from imports where id = $1 and state = 'held' for no key update`, [importId])
  if (!held) return false
  await giveUp(tx, importId, 'superseded', BY_ITSELF)
  await note(tx, importId, await feedOfImport(tx, importId), BY_ITSELF, 'import.supersede', {})
  return true
}

/** The import while nobody else decides about it; throws DecisionRefused `import.not_held`. */
async function lockHeld(tx: Transaction, importId: string): Promise<{ planHash: string; plannedBy: string | null; changes: ChangeCounts | null }> {
  const [found] = await tx.query<{ state: string; planHash: string | null; plannedBy: string | null; changes: ChangeCounts | null }>(`select state, plan_hash as "planHash", source ->> 'plannedBy' as "plannedBy", changes from imports where id = $1 for no key update`, [importId])
  if (found?.state === 'held' && found.planHash !== null) return { planHash: found.planHash, plannedBy: found.plannedBy, changes: found.changes }
  throw new DecisionRefused({ code: 'import.not_held', message: found ? `Import ${importId} is ${found.state}: nothing of it waits for a decision.` : `There is no import ${importId}.`, hint: `./muster import show ${importId}` })
}

/** The import's feed, unless this person may not decide about it. `author`: whoever declared the feed may, too. */
async function mayDecide(tx: Transaction, importId: string, operator: string, allow = { author: false }): Promise<ImportsFeed | null> {
  const feed = await feedOfImport(tx, importId)
  if (allow.author && operator === feed?.author) return feed
  const fault = decisionFault(feed ?? { name: '', author: '' }, (await readOrganization(tx)).settings.administrators, operator)
  if (fault) throw new DecisionRefused(fault)
  return feed
}

type Decision = 'approved' | 'rejected' | 'expired' | 'superseded'

async function settle(tx: Transaction, importId: string, decision: Decision, operator: string): Promise<void> {
  await tx.run('update imports set decision = $2, decided_by = $3, decided_at = now() where id = $1', [importId, decision, operator])
}

async function giveUp(tx: Transaction, importId: string, decision: Decision, operator: string): Promise<void> {
  await settle(tx, importId, decision, operator)
  await cancelImport(tx, importId)
}

/** Leaves a line in the audit trail. */
async function note(tx: Transaction, importId: string, feed: ImportsFeed | null, operator: string, action: string, detail: Record<string, unknown>): Promise<void> {
  await audit(tx, operator, action, { import: importId, ...(feed && { feed: feed.id }), ...detail })
}
