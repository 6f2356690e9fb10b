import type { FeedAlertKind } from '../entities/states.ts'
import type { IssueDetail } from '../rules/detail.ts'
import type { FeedDefinition } from './declaration.ts'
import { explainProblem } from './problems.ts'

/** As much of a feed as its alerts need. */
export type AlertedFeed = { id: string; name: string; definition: Pick<FeedDefinition, 'alerts'> }

/**
 * What an alert knows besides its kind. Everything is optional: what is not there is left out of the sentences. Never anything personal.
 * - `file`: name of the file · of every server `host` and `port`
 * - late, missing: `slot`, when it was due, ISO 8601 · `minutes` after it · `file`, where one is there that is not whole
 * repeated: `earlier`, the name under which the same bytes were taken · outOfOrder: `newer`
 * - held: `reasons`, sentences why · held, outOfOrder: `hours` until it is given up
 * - hostKey: `pinned` and `shown`, fingerprints · login: `secret`, the name of the one that is used
 * - any: `message` and `hint`, sentences; or the `code` of a problem with what belongs to it
 */
export type AlertDetail = IssueDetail

/** An alert as it is told, wherever: the mail, the webhook, the command line, the console. */
export type AlertTold = {
  /** Key of the organization. */
  organization: string
  /** Name of the feed. */
  feed: string
  /** IANA time zone that instants are told in: the feed's, else the organization's. */
  timeZone: string
  kind: FeedAlertKind
  subject: string
  detail: AlertDetail
  importId: string | null
}

/** An alert as it is kept. */
export type StoredAlert = AlertTold & { id: string; feedId: string; raisedAt: Date; clearedAt: Date | null }

/** Something to do: in words, and where a command does it the command. */
export type Step = { says: string; command: string | null }

/** One line of it: "Look at the feed: ./muster feed show …". */
export const stepLine = ({ says, command }: Step): string => (command === null ? `${says}.` : `${says}: ${command}`)

export type AlertExplained = {
  /** A few words, without the feed's name: "The file is late". */
  title: string
  /** What happened, in sentences with its details. */
  message: string
  /** What is true once it is over. */
  allClear: string
  whatToDo: Step[]
}

/** Says what happened, and what to do about it. Pure; the same words everywhere. */
export function explainAlert(alert: AlertTold): AlertExplained {
  const { title, message, allClear, steps } = TEXTS[alert.kind](alert)
  return { title, message, allClear, whatToDo: steps }
}

type Text = { title: string; message: string; allClear: string; steps: Step[] }

const step = (says: string, command: string | null = null): Step => ({ says, command })
const show = ({ feed, organization }: AlertTold): Step => step('Look at the feed', `./muster feed show ${feed} --organization ${organization}`)
const runAgain = ({ feed, organization }: AlertTold): Step => step('Once that is done, have it look again at once', `./muster feed run ${feed} --organization ${organization}`)

/** Texts of a detail; empty where there is none. */
const given = ({ detail }: AlertTold, name: string): string => String(Object.hasOwn(detail, name) ? detail[name] : '').trim()
const file = (alert: AlertTold): string => given(alert, 'file') || alert.subject
const sentences = (...parts: string[]): string => parts.filter((part) => part !== '').join(' ')
const named = (name: string, otherwise: string): string => (name === '' ? otherwise : `The file ${name}`)

/** 2026-12-01T08:00:00.000Z -> 2026-12-01 02:00 (America/Chicago); anything else as it is. */
function instant(iso: string, timeZone: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z$/.test(iso)) return iso
  const local = Temporal.Instant.from(iso).toZonedDateTimeISO(timeZone).toPlainDateTime().toString({ smallestUnit: 'minute' })
  return `${local.replace('T', ' ')} (${timeZone})`
}

/** What stood in the way, in sentences; empty where nothing is known of it. */
function cause(alert: AlertTold): { message: string; hint: string } {
  const code = given(alert, 'code')
  return code === '' ? { message: given(alert, 'message'), hint: given(alert, 'hint') } : explainProblem({ code, detail: alert.detail })
}

/** What the cause asks for, where that is more than patience. */
function hintStep({ hint }: { hint: string }, otherwise: string): Step {
  const asked = hint.replace(/^It is (?:tried|fetched) again\.( If it stays so, (\w))?/, (_, more?: string, first?: string) => (more === undefined ? '' : first!.toUpperCase())).trim()
  return step((asked || otherwise).replace(/\.$/, ''))
}

function due(alert: AlertTold): string {
  const slot = instant(given(alert, 'slot'), alert.timeZone)
  return slot === '' ? '' : ` that was due at ${slot}`
}

const server = (alert: AlertTold): string => {
  const [host, port] = [given(alert, 'host'), given(alert, 'port')]
  return host === '' ? 'The server' : `The server ${host}${port === '' || port === '22' ? '' : `:${port}`}`
}

/** Of a slot: whether a file is there that does not count yet. */
const isThere = (alert: AlertTold): boolean => given(alert, 'file') !== ''
/** ": people.csv lies there", unless what stands in the way says so itself. */
const whichIsThere = (alert: AlertTold): string => (isThere(alert) && !cause(alert).message.includes(given(alert, 'file')) ? `: ${given(alert, 'file')} lies there` : '')
const askSender = (alert: AlertTold, otherwise: string): Step => hintStep(cause(alert), isThere(alert) ? 'Ask the sender whether the file is still being written, and does what the readiness of the feed waits for' : otherwise)

const TEXTS: Record<FeedAlertKind, (alert: AlertTold) => Text> = {
  late: (alert) => ({
    title: 'The file is late',
    message: sentences(
      `The file${due(alert)} is not ${isThere(alert) ? 'whole' : 'there'} yet${given(alert, 'minutes') === '' ? '' : `, ${given(alert, 'minutes')} minutes after its time`}${whichIsThere(alert)}.`,
      cause(alert).message,
      'Muster goes on looking for it.',
    ),
    allClear: 'The file that was late has come.',
    steps: [askSender(alert, 'Ask the sender whether the file has been sent'), show(alert)],
  }),
  missing: (alert) => ({
    title: 'The file is missing',
    message: sentences(
      `The file${due(alert)} ${isThere(alert) ? 'is still not whole' : 'has not come'}, and is no longer waited for${whichIsThere(alert)}.`,
      cause(alert).message,
      'Nobody was changed.',
    ),
    allClear: 'A file has come again.',
    steps: [askSender(alert, 'Ask the sender for the file'), runAgain(alert), show(alert)],
  }),
  repeated: (alert) => ({
    title: 'The same file came again',
    message: sentences(`${named(file(alert), 'A file')} holds the very same bytes as ${given(alert, 'earlier') || 'one that was taken in before'}.`, 'It was not taken in again.'),
    allClear: 'A file with other content has come.',
    steps: [step('Ask the sender whether an old file was sent by mistake'), show(alert)],
  }),
  outOfOrder: (alert) => ({
    title: 'An older file came after a newer one',
    message: sentences(`${named(file(alert), 'A file')} is older than ${given(alert, 'newer') || 'the one taken in last'}, and came after it.`, 'It is held, and nothing of it is carried out.', givenUp(alert)),
    allClear: 'It was decided what becomes of the older file.',
    steps: decide(alert),
  }),
  held: (alert) => ({
    title: 'A file needs your decision',
    message: sentences(
      `${named(file(alert), 'A file')} is held, and nothing of it is carried out.`,
      given(alert, 'reasons') || cause(alert).message,
      givenUp(alert),
    ),
    allClear: 'It was decided what becomes of the file that was held.',
    steps: decide(alert),
  }),
  failed: (alert) => ({
    title: 'A file could not be taken in',
    message: sentences(file(alert) === '' ? 'The feed could not do its work.' : `${named(file(alert), 'A file')} could not be taken in.`, cause(alert).message),
    allClear: 'The feed works again.',
    steps: [
      hintStep(cause(alert), 'Have the file mended and sent again'),
      ...(alert.importId === null ? [] : [step('Look at the import', `./muster import show ${alert.importId}`)]),
      show(alert),
    ],
  }),
  hostKey: (alert) => {
    const [pinned, shown] = [given(alert, 'pinned'), given(alert, 'shown')]
    return {
      title: 'The server shows another key',
      message: sentences(
        `${server(alert)} does not show the key that is pinned for it, so that Muster did not log in: it may be another server than it says.`,
        pinned === '' ? '' : `Pinned: ${pinned}.`,
        shown === '' ? '' : `Shown: ${shown}.`,
        'It looks again, and goes on by itself once the pinned key is shown again, or the one that is shown is pinned.',
      ),
      allClear: 'The server shows the key that is pinned for it.',
      steps: [
        step('Ask whoever runs the server, by telephone and not by answering a mail, whether its key was changed, and to what'),
        step('If it was, look at the key that is shown now, and pin it', `./muster feed trust ${alert.feed} --organization ${alert.organization}`),
        step('If it was not, leave the feed as it is, and tell your security people'),
      ],
    }
  },
  login: (alert) => ({
    title: 'Muster cannot log in',
    message: sentences('Muster could not log in to the server of this feed.', cause(alert).message),
    allClear: 'Muster can log in again.',
    steps: [hintStep(cause(alert), 'Ask whoever runs the server whether the account, its key or its password was changed'), step('Give the new secret', `./muster feed secret ${given(alert, 'secret') || 'NAME'} --organization ${alert.organization}`), runAgain(alert)],
  }),
  unreachable: (alert) => ({
    title: 'The server cannot be reached',
    message: sentences('The server could not be reached, or broke off.', cause(alert).message, 'Muster goes on trying.'),
    allClear: 'The server answers again.',
    steps: [hintStep(cause(alert), 'Ask whoever runs the server whether it is up, and lets Muster in'), show(alert)],
  }),
  acknowledgement: (alert) => ({
    title: 'The server does not take the answer',
    message: sentences(
      `${named(file(alert), 'A file')} was dealt with, but the acknowledgement could not be written beside it, or it could not be moved into the archive.`,
      cause(alert).message,
      'It is not taken in again for that; Muster goes on trying.',
    ),
    allClear: 'The server takes acknowledgements again.',
    steps: [hintStep(cause(alert), 'See to it that the login may write into the folder and rename files there, and that there is room'), show(alert)],
  }),
}

const givenUp = (alert: AlertTold): string => (given(alert, 'hours') === '' ? '' : `Without a decision within ${given(alert, 'hours')} hours it is given up.`)

function decide(alert: AlertTold): Step[] {
  if (alert.importId === null) return [show(alert)]
  return [
    step('Look at what it would change, and whom', `./muster feed show ${alert.importId}`),
    step('Let it go on; that is for an administrator other than the author of the feed', `./muster feed approve ${alert.importId}`),
    step('Or give it up', `./muster feed reject ${alert.importId}`),
  ]
}
