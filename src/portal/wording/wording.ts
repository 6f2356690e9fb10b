import type { ProblemCode } from '../../accounts/accessParts.ts'

/**
 * The sentences of the portal in one language. What changes within a sentence is passed to it; a sentence that is missing is a type error.
 * They are plain text: the pages escape them.
 */
export type Wording = {
  /** BCP 47, as it stands in the lang attribute. */
  language: string
  shared: {
    username: string
    password: string
    newPassword: string
    repeat: string
    /** Under the field of a password that is chosen, with the least length. */
    passwordRule: (length: number) => string
    /** Above the list of problems. */
    problems: string
    /** In front of the title of a page that shows problems. */
    problemTitle: string
    /** Above name, address and phone number of the support contact. */
    support: string
    signIn: string
    signOut: string
    forgotten: string
    /** On the way back to a form that was open too long. */
    openAgain: string
  }
  register: {
    title: string
    step: string
    heading: (firstName: string) => string
    intro: (organization: string) => string
    usernameHint: string
    button: string
    expires: (instant: string) => string
  }
  /** Links that work no longer: what has become of them, and what to do. */
  gone: Record<GoneLink, Told> & {
    /** On the way to the support contact; where there is none, a sentence. */
    askSupport: string
    askSender: (organization: string | null) => string
    askAnew: string
  }
  signIn: {
    title: string
    step: string
    heading: (organization: string) => string
    wrong: string
    sso: (organization: string) => string
    ssoNowhere: string
    ssoButton: (organization: string) => string
  }
  /** The password is right, and the account cannot be signed in to yet; `ask` and `askSender` as in gone. */
  notReady: { heading: string; text: (organization: string) => string; ask: string; askSender: (organization: string) => string }
  /** After too many tries. */
  wait: { title: string; heading: string; text: (howLong: string) => string; seconds: (count: number) => string; minutes: (count: number) => string; back: string }
  notice: { title: string; step: string; heading: string; text: (organization: string) => string; accept: string; decline: string }
  password: { title: string; heading: string; headingForced: string; intro: string; introForced: (organization: string) => string; current: string; button: string; back: string }
  forgot: { title: string; heading: string; intro: string; name: string; button: string; sentHeading: string; sent: string; sentHint: string; back: string }
  reset: { title: string; heading: string; intro: (username: string) => string; button: string }
  home: {
    title: string
    done: (firstName: string) => string
    text: (organization: string) => string
    noLogin: (organization: string) => string
    button: (organization: string) => string
    name: string
    organization: string
  }
  /** Nobody is signed in. */
  nobody: { title: string; heading: string; text: string }
  /** Said once, on the page that follows. */
  notes: Record<Note, string>
  failures: Record<Failure, Told>
  /** What is wrong with what was typed; a code that a service adds has no words until it is here. */
  faults: Record<ProblemCode | FormProblem, (detail: Readonly<Record<string, string>>) => string>
}

export type Told = { heading: string; text: string }
export type GoneLink = 'expired' | 'used' | 'revoked' | 'unknown' | 'reset'
export const NOTES = ['registered', 'reset', 'changed', 'signedOut', 'ended', 'completed'] as const
export type Note = (typeof NOTES)[number]
/** stale: a form that was open too long, or sent from elsewhere. */
export type Failure = 'notFound' | 'stale' | 'unreadable' | 'broken'
/** What a form finds out by itself; the rest is for the services to say. */
export type FormProblem = 'username.required' | 'password.required' | 'password.repeat' | 'current.required' | 'name.required'
