/** What is found out about a part, with what to do where something is to be done. */
export type Finding = { part: string; state: 'well' | 'attention' | 'failed'; message: string; hint: string | null }
