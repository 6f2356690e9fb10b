/**
 * The sentences of the mails in one language. A sentence is plain text that may use the variables of its purpose;
 * it stands in text and HTML alike, so that markup has no place in it. A sentence that is missing is a type error.
 */
export type Wording = {
  /** BCP 47, as it stands in the lang attribute of the mail. */
  language: string
  shared: {
    /** Above the address that repeats where a button leads. */
    linkHelp: string
    /** Above the name, address and phone number of the support contact. */
    support: string
    /** Above the name of the organization, at the end of the letter. */
    closing: string
  }
  credentials: Letter & {
    usernameLabel: string
    passwordLabel: string
    /** Above the address for signing in, in the plain text. */
    signInLabel: string
    mustChange: string
    keepSafe: string
  }
  invitation: Letter & {
    /** Above the link, in the plain text. */
    linkLabel: string
    expires: string
    expired: string
  }
  operatorCredentials: Omit<Letter, 'unexpected'> & {
    /** Above the name of the person whom the account belongs to. */
    personLabel: string
    usernameLabel: string
    passwordLabel: string
    /** Above the address for signing in, in the plain text. */
    signInLabel: string
    mustChange: string
    handOver: string
  }
  alreadyRegistered: Omit<Letter, 'unexpected'> & {
    usernameLabel: string
    signInLabel: string
    /** Before the address where a new password can be asked for. */
    forgot: string
  }
  welcome: Letter & {
    usernameLabel: string
    signInLabel: string
  }
  passwordReset: Letter & {
    usernameLabel: string
    /** Above the link, in the plain text. */
    linkLabel: string
    expires: string
    expired: string
  }
  passwordChanged: Letter & {
    usernameLabel: string
    changedLabel: string
    /** Above the address where a new password can be asked for, in the plain text. */
    forgotLabel: string
  }
  operatorSummary: {
    subjectDone: string
    subjectFailed: string
    subjectCancelled: string
    subjectAwaiting: string
    subjectNothing: string
    preheader: string
    headingDone: string
    headingFailed: string
    headingCancelled: string
    headingAwaiting: string
    headingNothing: string
    cancelled: string
    awaiting: string
    /** Said loudly, so that an import without effect is never taken for a success (spec B9). */
    nothing: string
    fileLabel: string
    organizationLabel: string
    importLabel: string
    rowsHeading: string
    read: string
    created: string
    updated: string
    unchanged: string
    rejected: string
    held: string
    blank: string
    peopleHeading: string
    usersCreated: string
    deliveriesOwed: string
    deliveriesScheduled: string
    deliveriesHeld: string
    issuesHeading: string
    row: string
    moreIssues: string
    /** Above the address of the import, in the plain text. */
    openLabel: string
    button: string
    footer: string
  }
  feedAlert: AlertTitles & {
    /** In front of the kind's title. */
    subject: string
    preheader: string
    feedLabel: string
    organizationLabel: string
    fileLabel: string
    importLabel: string
    raisedLabel: string
    stepsHeading: string
    /** That nobody is told again while it lasts. */
    once: string
    /** Above the address of the feed, in the plain text. */
    openLabel: string
    button: string
    footer: string
  }
  feedAllClear: AlertTitles & {
    /** In front of the title of what is over. */
    subject: string
    preheader: string
    /** In front of the title of what is over. */
    heading: string
    feedLabel: string
    organizationLabel: string
    fileLabel: string
    raisedLabel: string
    clearedLabel: string
    /** Above what was said when it began. */
    wasLabel: string
    openLabel: string
    button: string
    footer: string
  }
}

/** A few words for each kind of alert. */
export type AlertTitles = {
  late: string
  missing: string
  repeated: string
  outOfOrder: string
  held: string
  failed: string
  hostKey: string
  login: string
  unreachable: string
  acknowledgement: string
}

/** What every letter to a person who is brought on board has. */
type Letter = {
  subject: string
  /** What the list of mails shows beside the subject. Never a password or a link. */
  preheader: string
  heading: string
  greeting: string
  intro: string
  button: string
  unexpected: string
  footer: string
}
