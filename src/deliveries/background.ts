/** Mails that a turn of sending has left on the wire: others are not to wait for them, and the process is not to end before them. */
export type Background = {
  /**
   * @param mails those that are not settled yet, as long as `work` goes on
   * @param work resolves when all are settled; never rejects
   */
  keep(organizationId: string, mails: ReadonlySet<unknown>, work: Promise<void>): void
  /** Mails of the organization that are not settled yet. */
  holding(organizationId: string): number
  /** Resolves when nothing is left. */
  settled(): Promise<void>
}

/** Opens the background of one process. */
export function openBackground(): Background {
  const kept = new Set<{ organizationId: string; mails: ReadonlySet<unknown>; work: Promise<void> }>()
  return {
    keep(organizationId, mails, work) {
      const one = { organizationId, mails, work }
      kept.add(one)
      void work.finally(() => kept.delete(one))
    },
    holding: (organizationId) => [...kept].reduce((sum, one) => (one.organizationId === organizationId ? sum + one.mails.size : sum), 0),
    async settled() {
      while (kept.size > 0) await Promise.all([...kept].map(({ work }) => work))
    },
  }
}
