/** Why somebody may not decide what a feed holds. */
export type DecisionFault = { code: 'decision.own_feed' | 'decision.not_administrator'; message: string; hint: string }

/**
 * Whether somebody may decide what a feed does beyond its thresholds (spec A6): an administrator of the organization, or anybody where it
 * names none, but never whoever declared the feed. Null: yes.
 * @param feed its name, and who declared it last
 * @param administrators of the organization's settings
 */
export function decisionFault(feed: { name: string; author: string }, administrators: readonly string[], operator: string): DecisionFault | null {
  const named = JSON.stringify(feed.name)
  if (operator === feed.author) {
    const hint = administrators.length > 0 ? `Ask one of: ${administrators.filter((name) => name !== operator).join(', ') || 'nobody else is an administrator; add somebody to "administrators" in the organization’s declaration'}.` : 'Ask somebody else, who works under a name of their own (MUSTER_OPERATOR).'
    return { code: 'decision.own_feed', message: `Feed ${named} was declared by ${operator}: somebody else decides what it may do beyond its thresholds.`, hint }
  }
  if (administrators.length === 0 || administrators.includes(operator)) return null
  return { code: 'decision.not_administrator', message: `${operator} is no administrator of the organization.`, hint: `Ask one of: ${administrators.filter((name) => name !== feed.author).join(', ') || 'nobody; add somebody to "administrators" in the organization’s declaration'}.` }
}
