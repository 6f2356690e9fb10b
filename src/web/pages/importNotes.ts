import type { ImportReport, StoredImport } from '../../importers/importReport.ts'
import { showCount, wordsOf } from '../show.ts'
import type { Tone } from '../show.ts'

/** Something that somebody has to know or do, with what to type, each command in its words. `href`: where more stands. */
export type Note = { tone: Tone; heading: string; text: string; commands: string[][]; href: string | null }

/** A note; `commands` are command lines as they are typed. */
export const note = (tone: Tone, heading: string, text: string, commands: string[] = [], href: string | null = null): Note => ({ tone, heading, text, commands: commands.map(wordsOf), href })

/** What to do about an import, the most urgent first. */
export function notesOf(stored: StoredImport, report: ImportReport): Note[] {
  const { id, state, organization } = stored
  const { totals, failure } = report
  const notes: Note[] = []
  if (failure) notes.push(note('bad', 'The file was refused. Nothing was changed.', `${failure.message} ${failure.hint}`))
  if (stored.stalled) notes.push(note('bad', 'The import has stalled', 'Its worker has given no sign for a minute. Another one goes on from where it was, as soon as one runs.', ['./muster up']))
  if (state === 'previewed') notes.push(note('warn', 'Nothing has changed yet', 'This is the plan. Carry out exactly it, or forget it.', [`./muster import commit ${id}`, `./muster import cancel ${id}`]))
  if (state === 'held') notes.push(note('warn', 'The whole import is held', 'It would change more than it may without somebody’s decision. Look at the rows below, then carry it out or give it up.', [`./muster feed show ${id}`, `./muster feed approve ${id}`, `./muster feed reject ${id}`]))
  if (state === 'committed' && totals.created + totals.updated + report.deactivated === 0) notes.push(note('warn', 'Nothing was changed by this import', 'No row created or updated anybody. Look whether it is the file that you meant.'))
  if (totals.rejected + totals.held > 0) notes.push(leftOut(report, organization))
  if (state === 'cancelled') notes.push(note('quiet', 'The import was cancelled', 'Nothing was changed.'))
  return notes
}

function leftOut({ id, state, file, totals }: ImportReport, organization: string): Note {
  const errors = `to-mend.${file.format === 'csv' ? 'csv' : 'xlsx'}`
  const held = totals.held > 0 ? `${showCount(totals.held, 'row')} held` : null
  const rejected = totals.rejected > 0 ? `${showCount(totals.rejected, 'row')} rejected` : null
  const heading = [rejected, held].filter((text) => text !== null).join(', ')
  const told = state === 'committed' ? 'All other rows went through.' : 'All other rows go through.'
  return note('warn', heading, `${told} Get these rows alone with what is wrong marked, mend them, and take the file in again.`, [`./muster import errors ${id} -o ${errors}`, `./muster import ${errors} --organization ${organization}`])
}
