import type { Transaction } from '../entities/database.ts'
import { heldFile, type HeldFile } from '../feeds/feedReport.ts'
import type { HeldPeople, HeldPerson } from '../importers/heldPeople.ts'
import { bold, dim, inert, number, yellow, type Output } from './output.ts'

/** People of each list that are named; the others are counted. */
export const SHOWN_HELD = 25
/** As SHOWN_HELD, for --json. */
export const TOLD_HELD = 1_000

/** What is held as this import; null where it is none of a feed's that is held. */
export async function readHeld(tx: Transaction, importId: string): Promise<{ held: HeldFile; feedId: string } | null> {
  const [row] = await tx.query<{ feedId: string }>(`select feed_id as "feedId" from imports where id = $1 and state = 'held' and feed_id is not null`, [importId])
  const held = row ? await heldFile(tx, row.feedId, importId) : null
  return held && row ? { held, feedId: row.feedId } : null
}

const LISTS: readonly [list: keyof HeldPeople, heading: string][] = [
  ['leaving', 'would be deactivated, as the file does not name them'],
  ['created', 'would be new'],
  ['changedEmails', 'would get another e-mail address'],
  ['reactivated', 'would be active again'],
  ['updated', 'would be changed'],
  ['adopted', "would become the feed's own, though it did not bring them"],
]

/** Prints why a file is held, and whom it is about by name (spec A6). */
export function showHeld(held: HeldFile, people: HeldPeople, out: Output): void {
  out.say(`${yellow('held')}  ${bold(inert(held.file))}  ${dim(`import ${held.importId}${held.until === null ? '' : `, given up at ${held.until.toISOString().slice(0, 16).replace('T', ' ')} UTC`}`)}`)
  for (const { message, hint } of held.reasons) {
    out.say(`  ${inert(message)}`)
    out.say(dim(`    ${inert(hint)}`))
  }
  for (const [list, heading] of LISTS) {
    const { count, people: named } = people[list]
    if (count === 0) continue
    out.say()
    out.say(`  ${bold(number(count))} ${heading}`)
    for (const person of named.slice(0, SHOWN_HELD)) out.say(`    ${inert(personLine(person))}`)
    if (count > Math.min(named.length, SHOWN_HELD)) out.say(dim(`    and ${number(count - Math.min(named.length, SHOWN_HELD))} more; --json holds the first thousand`))
  }
  out.say()
  if (held.planHash !== null) out.say(dim(`  plan ${held.planHash}`))
}

const personLine = ({ externalId, name, email, emailBefore }: HeldPerson): string => [externalId, name, emailBefore === null ? email : `${emailBefore} -> ${email}`].filter(Boolean).join('  ')

/** Prints what can be done with what is held. */
export function sayWhatNext({ importId, planHash }: HeldFile, out: Output): void {
  out.say(`  ./muster feed approve ${importId}${planHash === null ? '' : ` --plan ${planHash}`}`)
  out.say(`  ./muster feed reject ${importId}`)
  out.say(dim('  An administrator decides, and not who declared the feed. Both names are kept.'))
}
