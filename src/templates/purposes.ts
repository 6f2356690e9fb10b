/**
 * What Muster mails, and the variables that each mail has (spec D5).
 * Dates and numbers are given as text, formatted by the caller for the reader's language and zone.
 */

/** One line of text. Line breaks, control and direction-changing characters are taken out of it before it is mailed. */
type Text = { kind: 'text'; always: boolean; secret?: true; example: string; means: string }
/** An absolute http or https address; anything else is refused. */
type Url = { kind: 'url'; always: boolean; secret?: true; example: string; means: string }
/** For {{#if}} and {{#unless}} only; false when not given. */
type Flag = { kind: 'flag'; always: boolean; example: boolean; means: string }
/** For {{#each}} only; empty when not given. */
type List = {
  kind: 'list'
  always: boolean
  fields: Readonly<Record<string, Text | Url | Flag>>
  example: ReadonlyArray<Readonly<Record<string, string | boolean>>>
  means: string
}
export type Variable = Text | Url | Flag | List

const text = <const A extends boolean>(always: A, example: string, means: string) => ({ kind: 'text', always, example, means }) as const
const url = <const A extends boolean>(always: A, example: string, means: string) => ({ kind: 'url', always, example, means }) as const
const flag = <const A extends boolean>(always: A, example: boolean, means: string) => ({ kind: 'flag', always, example, means }) as const

const PERSON = {
  firstName: text(true, 'Ana', 'first name of the person who gets the mail'),
  lastName: text(true, 'Nguyễn-O’Brien', 'last name of the person who gets the mail'),
  organization: text(true, 'Acme Staffing', 'name of the organization'),
}

/** A mail about somebody that somebody else gets. */
const PERSON_MEANT = {
  firstName: text(true, 'Ana', 'first name of the person whose account it is'),
  lastName: text(true, 'Nguyễn-O’Brien', 'last name of the person whose account it is'),
  organization: PERSON.organization,
}

const ACCOUNT = {
  username: text(true, 'ana.nguyen-obrien', 'what the person signs in with'),
  loginUrl: url(true, 'https://acme.example/login', 'where to sign in'),
}

const PASSWORD = {
  password: { kind: 'text', always: true, secret: true, example: 'kR7-vTq9-mWz4-Hd', means: 'the password, made for this one mail' },
  mustChange: flag(true, true, 'the password has to be changed at the first sign-in'),
} as const

const FORGOT = { forgotUrl: url(true, 'https://muster.example/acme/forgot', 'where to ask for a new password') }

/** Spec C7. Without supportName no support contact is shown. */
const SUPPORT = {
  supportName: text(false, 'Help desk', 'name of the support contact'),
  supportEmail: text(false, 'help@acme.example', 'e-mail address of the support contact'),
  supportPhone: text(false, '(612) 555-0100', 'phone number of the support contact'),
}

/** Which kind of alert it is; one of them is true. */
const ALERT_KINDS = {
  late: flag(false, false, 'the file is late'),
  missing: flag(false, false, 'the file has not come, and is no longer waited for'),
  repeated: flag(false, false, 'the bytes of an earlier file came again'),
  outOfOrder: flag(false, false, 'an older file came after a newer one, and is held'),
  held: flag(false, true, 'a file as a whole is held until somebody decides'),
  failed: flag(false, false, 'a file could not be taken in'),
  hostKey: flag(false, false, 'the server shows another key than the pinned one'),
  login: flag(false, false, 'Muster cannot log in to the server'),
  unreachable: flag(false, false, 'the server cannot be reached'),
  acknowledgement: flag(false, false, 'the acknowledgement could not be written, or the file not be archived'),
}

const FEED = {
  organization: PERSON.organization,
  feed: text(true, 'nightly', 'name of the feed'),
  fileName: text(false, 'people-2026-12-01.csv', 'name of the file that it is about; none where it is about the feed as a whole'),
  consoleUrl: url(true, 'https://muster.example/feeds/17', 'where the feed is shown'),
  raisedAt: text(true, 'December 1, 2026, 2:04 AM (Chicago)', 'when it began'),
  message: text(true, 'The file people-2026-12-01.csv is held, and nothing of it is carried out. 37 people would be deactivated; at most 25 are without somebody being asked.', 'what happened; in English'),
  ...ALERT_KINDS,
}

export const PURPOSES = {
  credentials: {
    ...PERSON,
    ...ACCOUNT,
    ...PASSWORD,
    ...SUPPORT,
  },
  invitation: {
    ...PERSON,
    link: { kind: 'url', always: true, secret: true, example: 'https://muster.example/join/Zk3qJ8w1TtQn5uYb7cXe2A', means: 'the personal link, which works once' },
    expiresAt: text(true, 'December 8, 2026, 8:00 AM (Chicago)', 'until when the link works'),
    ...SUPPORT,
  },
  operatorCredentials: { ...PERSON_MEANT, ...ACCOUNT, ...PASSWORD },
  alreadyRegistered: { ...PERSON, ...ACCOUNT, ...FORGOT, ...SUPPORT },
  welcome: { ...PERSON, ...ACCOUNT, ...SUPPORT },
  passwordReset: {
    ...PERSON,
    username: ACCOUNT.username,
    link: { kind: 'url', always: true, secret: true, example: 'https://muster.example/reset/Zk3qJ8w1TtQn5uYb7cXe2A', means: 'the personal link to choose a password, which works once' },
    expiresAt: text(true, 'December 8, 2026, 8:00 AM (Chicago)', 'until when the link works'),
    ...SUPPORT,
  },
  passwordChanged: {
    ...PERSON,
    username: ACCOUNT.username,
    changedAt: text(true, 'December 8, 2026, 8:00 AM (Chicago)', 'when the password was changed'),
    ...FORGOT,
    ...SUPPORT,
  },
  operatorSummary: {
    organization: text(true, 'Acme Staffing', 'name of the organization'),
    importId: text(true, '01JE2M8Z5W', 'id of the import'),
    fileName: text(true, 'people.xlsx', 'name of the file that was taken in'),
    consoleUrl: url(true, 'https://muster.example/imports/01JE2M8Z5W', 'where the import is shown'),
    failed: flag(false, false, 'the file was refused or the import stopped'),
    failureMessage: text(false, '', 'what went wrong; given when failed'),
    failureHint: text(false, '', 'what to do about it; given when failed'),
    cancelled: flag(false, false, 'somebody cancelled the import'),
    awaitingDecision: flag(false, false, 'the import as a whole is held until somebody decides'),
    nothingChanged: flag(false, false, 'nobody was created and nobody updated'),
    hasTotals: flag(true, true, 'rows were read, so that the totals below mean something'),
    read: text(true, '1,210', 'rows read'),
    created: text(true, '1,042', 'rows that created somebody'),
    updated: text(true, '118', 'rows that updated somebody'),
    unchanged: text(true, '43', 'rows that changed nothing'),
    rejected: text(true, '4', 'rows rejected'),
    held: text(true, '1', 'rows held for a decision'),
    blank: text(true, '2', 'blank rows skipped'),
    usersCreated: text(true, '1,040', 'users created'),
    deliveriesOwed: text(true, '1,040', 'mails owed'),
    deliveriesScheduled: text(true, '1,000', 'mails with a date'),
    deliveriesHeld: text(true, '40', 'mails held until a release'),
    issues: {
      kind: 'list',
      always: true,
      fields: {
        row: text(true, '4', 'row of the sheet or file'),
        column: text(false, 'Email', 'header of the column; none where the whole row is meant'),
        message: text(true, 'There is no @ in the address.', 'what is wrong'),
      },
      example: [
        { row: '4', column: 'Email', message: 'There is no @ in the address.' },
        { row: '17', column: 'Phone', message: 'The phone number has nine digits: the spreadsheet has probably dropped a leading zero.' },
        { row: '203', message: 'The row has 13 fields; the header has 14.' },
      ],
      means: 'the first problems of the file',
    },
    moreIssues: text(false, '12', 'how many problems there are beyond those listed'),
  },
  feedAlert: {
    ...FEED,
    importId: text(false, '4711', 'id of the import; given where one is to be decided or looked at'),
    steps: {
      kind: 'list',
      always: true,
      fields: {
        says: text(true, 'Look at what it would change', 'what to do; in English'),
        command: text(false, './muster feed show 4711', 'the command that does it; none where no command does'),
      },
      example: [
        { says: 'Look at what it would change, and whom', command: './muster feed show 4711' },
        { says: 'Let it go on; that is for an administrator other than the author of the feed', command: './muster feed approve 4711' },
        { says: 'Or give it up', command: './muster feed reject 4711' },
        { says: 'Ask the sender whether so many people have left' },
      ],
      means: 'what to do about it',
    },
  },
  feedAllClear: {
    ...FEED,
    allClear: text(true, 'It was decided what becomes of the file that was held.', 'what is true now; in English'),
    clearedAt: text(true, 'December 1, 2026, 9:30 AM (Chicago)', 'when it was over'),
  },
} as const satisfies Record<string, Record<string, Variable>>

export type Purpose = keyof typeof PURPOSES

type ValueOf<V> = V extends { kind: 'flag' } ? boolean : V extends { kind: 'list'; fields: infer F } ? ReadonlyArray<ValuesOf<F>> : string
type ValuesOf<F> = { readonly [K in keyof F as F[K] extends { always: true } ? K : never]: ValueOf<F[K]> } & {
  readonly [K in keyof F as F[K] extends { always: true } ? never : K]?: ValueOf<F[K]> | null | undefined
}

/** The values that a purpose is rendered with, for example PurposeVariables['credentials']. Absent and null are the same. */
export type PurposeVariables = { readonly [P in Purpose]: ValuesOf<(typeof PURPOSES)[P]> }

/** The catalog of one purpose, for code that treats all purposes alike. */
export const variablesOf = (purpose: Purpose): Readonly<Record<string, Variable>> => PURPOSES[purpose]

/** Values to preview a template with: every variable, also those not always there. None of them is anybody's. */
export const exampleVariables = <P extends Purpose>(purpose: P): PurposeVariables[P] =>
  Object.fromEntries(Object.entries(variablesOf(purpose)).map(([name, { example }]) => [name, example])) as PurposeVariables[P]
