/**
 * What a feed's file may change by itself, and when a person is asked instead (spec A6, A7). Pure: kinds and shapes that importers,
 * feeds and jobs share.
 */

/**
 * What a file changes, counted from its plan. `population`: active people whom the feed owned before. `rows`: rows read. `adoptions`: people who become the feed's own
 * though it did not bring them. `mended`: the file holds rows of an earlier one that were handed back, and says nothing of anybody else.
 */
export type ChangeCounts = { rows: number; population: number; creations: number; updates: number; deactivations: number; changedEmails: number; reactivations: number; adoptions: number; mended?: true }

export const LIMITED_CHANGES = ['creations', 'updates', 'deactivations', 'changedEmails', 'reactivations'] as const
export type LimitedChange = (typeof LIMITED_CHANGES)[number]

/**
 * The most that a file may change by itself: at most `people`, and less than `percent` of the population; the smaller one counts, null
 * is no limit of that kind.
 */
export type Limit = { people: number | null; percent: number | null }
export type Thresholds = Record<LimitedChange, Limit>

/** Spec A6: the smaller of 5 % and 25 people. */
export const DEFAULT_LIMIT: Limit = { people: 25, percent: 5 }

/** An exception that an administrator made for one file: up to so many of each, once. */
export type Allowance = { limits: Partial<Record<LimitedChange, number>>; by: string; until: string | null }

/** Whom a full file speaks for (spec A6): those whom the feed brought, or everybody of a place. */
export type FeedScope =
  | { kind: 'own' }
  | { kind: 'customer'; customer: string }
  | { kind: 'group'; group: string }
  | { kind: 'security'; dimension: 'company' | 'businessUnit' | 'department' | 'location'; group: string }
  | { kind: 'attribute'; attribute: string; value: string }

/** How many rows a file is expected to have; null: not looked at. */
export type RowBand = { least: number | null; most: number | null; /** More or fewer than the last one by this share is too many. */ changePercent: number | null }

/** Why a file is held as a whole. Each is a code of the catalog with what belongs to it; numbers are people or rows. */
export type HoldReason =
  | { code: `limit.${LimitedChange}`; detail: { count: number; limit: number; population: number } }
  | { code: 'contract.rows'; detail: { rows: number; least?: number; most?: number; last?: number } }
  | { code: 'contract.columns'; detail: { missing: string; added: string } }
  | { code: 'feed.out_of_order'; detail: { file: string; newer: string } }
  | { code: 'feed.cut_short'; detail: { row: number } }
  | { code: 'leaving.unsure'; detail: { rows: number; leaving: number } }
  | { code: 'feed.adopts'; detail: { people: number } }

/** What an import knows of the feed that brought it, as it stood when the file was taken. Ids are text. */
export type FeedIntake = {
  feedId: string
  fileId: string
  /** `full`: whoever is missing is deactivated, within the scope. */
  mode: 'changes' | 'full'
  scope: FeedScope
  /** People whom the file names become the feed's own, though it did not bring them. */
  adopts: boolean
  thresholds: Thresholds
  rows: RowBand
  /** Header row of the last file taken in, where columns must not drift; null: none, or not looked at. */
  lastHeaders: string[] | null
  /** Rows of the last file taken in. */
  lastRows: number | null
  /** A newer file that was taken in before; null: this one is the newest. */
  outOfOrder: { newer: string } | null
  /** Hours until a held import is given up. */
  holdHours: number
}
