/** What a message needs to be told in full: the offending character, the nearest known value, a count. Never a secret. */
export type IssueDetail = Readonly<Record<string, string | number>>
