import { createReadStream } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { LARGEST_BOUNCE } from '../deliveries/readBounce.ts'
import { takeBounce, type Taken } from '../deliveries/bounces.ts'
import type { Database } from '../entities/database.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { count, dim, EXIT, inert, table, type ExitStatus, type Output } from './output.ts'
import { isFolder, readFolder, readMessages, type StoredMessage } from './readMessages.ts'

export type BounceFlags = { folder?: string }

/** What was done with a message, as --json prints it. */
type Entry = { source: string; movedTo: string | null; /** What kept it from being put away. */ problem?: string } & (Taken | NotTaken)
/** What went wrong has nothing to do with the message: it is taken in again the next time. */
type NotTaken = { is: 'notTaken'; message: string }

const SAID = {
  bounced: 'marked as bounced',
  alreadyBounced: 'was marked before',
  noted: 'nothing to do',
  outdated: 'about an earlier try; sent again since',
  underWay: 'being sent at this moment: take it in again later',
  notApplied: 'not marked',
  unknown: 'none of our mails',
  notABounce: 'no bounce',
  unreadable: 'cannot be read',
  notTaken: 'could not be taken in: do it again later',
} as const satisfies Record<Entry['is'], string>
const WHY = { auto_reply: 'an automatic answer', receipt: 'a receipt', complaint: 'a complaint', other: 'another kind of message', empty: 'it is empty', too_large: 'it is longer than 10 MB', malformed: 'it is damaged, or made to do harm' }

/** Of these the message stays where it is: there is something left to do. */
const STAYS: readonly Entry['is'][] = ['unreadable', 'underWay', 'notTaken']

/**
 * `muster bounces [FILE…|-] [--folder DIR]`: takes in what came back (spec D8), and tells for each message what was done.
 * A folder's messages are put away once their change is committed, so that a crash has them taken in again, which is harmless.
 * One that cannot be taken in keeps none of the others from it. Status 2 where a message is left to be looked at.
 */
export async function takeBounces(context: Context, files: readonly string[], { folder }: BounceFlags): Promise<ExitStatus> {
  const sources = await openSources(files, folder)
  return context.with(async ({ database }) => {
    const { out } = context
    const entries: Entry[] = []
    const errors: unknown[] = []
    const wrong = (error: unknown): string => {
      errors.push(error)
      return inert((error as Error).message || String((error as { code?: string }).code ?? error))
    }
    for (const { name, read } of sources) {
      try {
        for await (const message of read()) {
          entries.push(await takeOne(database, message, wrong))
          out.progress(`${count(entries.length, 'message')} read`)
        }
      } catch (error) {
        entries.push({ source: name, movedTo: null, is: 'notTaken', message: wrong(error) })
      }
    }
    // Nothing at all was done: that is no matter of single messages.
    if (entries.length > 0 && entries.every(({ is }) => is === 'notTaken')) throw errors[0]
    tell(out, entries)
    return entries.some(({ is, problem }) => STAYS.includes(is) || problem !== undefined) ? EXIT.partly : EXIT.done
  })
}

/** Takes one in and, once that is committed, puts it away. Never throws; `wrong` keeps an error and gives its words. */
async function takeOne(database: Database, message: StoredMessage, wrong: (error: unknown) => string): Promise<Entry> {
  const { source } = message
  const taken = await takeBounce(database, message.bytes).catch((error: unknown): NotTaken => ({ is: 'notTaken', message: wrong(error) }))
  if (message.putAway === null || STAYS.includes(taken.is)) return { source, movedTo: null, ...taken }
  return message.putAway().then((movedTo) => ({ source, movedTo, ...taken }), (error: unknown) => ({ source, movedTo: null, problem: wrong(error), ...taken }))
}

type Source = { name: string; read: () => AsyncGenerator<StoredMessage> }

/** Looks that everything named is there before the first message is taken in. */
async function openSources(files: readonly string[], folder: string | undefined): Promise<Source[]> {
  if (folder !== undefined && !(await isFolder(folder))) throw new CommandRefused('bounces.no_folder', `There is no folder ${JSON.stringify(folder)}.`, 'Name a Maildir, or a folder of .eml files.')
  const named = files.length === 0 && folder === undefined ? ['-'] : files
  if (named.includes('-') && process.stdin.isTTY) throw new CommandRefused('usage.nothing_to_read', 'There is nothing to read.', 'Name files or --folder DIR, or pipe a message in: ./muster bounces < message.eml')
  for (const file of named) {
    if (file !== '-' && (await isFolder(file))) throw new CommandRefused('usage.folder', `${JSON.stringify(file)} is a folder.`, `./muster bounces --folder ${file} reads it.`)
    if (file !== '-') await access(file, constants.R_OK).catch(() => Promise.reject(new CommandRefused('bounces.no_file', `${JSON.stringify(file)} is not there, or cannot be read.`, 'Nothing was taken in.')))
  }
  return [
    ...named.map((file): Source => {
      const name = file === '-' ? 'standard input' : file
      return { name, read: () => readMessages(name, file === '-' ? process.stdin : createReadStream(file), LARGEST_BOUNCE) }
    }),
    ...(folder === undefined ? [] : [{ name: folder, read: () => readFolder(folder, LARGEST_BOUNCE) }]),
  ]
}

function tell(out: Output, entries: readonly Entry[]): void {
  const counts = Object.fromEntries(Object.keys(SAID).map((is) => [is, entries.filter((entry) => entry.is === is).length])) as Record<Entry['is'], number>
  if (out.json) return out.data({ bounces: { read: entries.length, ...counts }, entries: entries.map(({ is, ...rest }) => ({ ...rest, outcome: is })) })
  if (entries.length === 0) return out.say('No messages.')
  for (const line of table(['message', 'delivery', 'done', 'said'], entries.map(rowOf))) out.say(line)
  out.say(dim(`${count(entries.length, 'message')}, ${count(counts.bounced, 'mail')} marked as bounced.`))
  if (counts.bounced > 0) out.say('Mend the addresses, then send again with a new secret: ./muster deliveries list --state bounced, ./muster deliveries retry ID')
}

function rowOf(entry: Entry): string[] {
  const said = entry.problem !== undefined ? `cannot be put away: ${entry.problem}` : entry.is === 'notTaken' ? entry.message : 'why' in entry ? WHY[entry.why] : 'action' in entry ? [entry.is === 'notApplied' ? `the delivery is ${entry.state};` : '', entry.action, entry.status ?? '', entry.words].filter(Boolean).join(' ') : entry.subject
  return [entry.source, 'delivery' in entry ? entry.delivery : '', SAID[entry.is], said]
}
