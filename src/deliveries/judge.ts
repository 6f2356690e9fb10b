import { backoffSeconds } from './backoff.ts'
import type { Verdict } from './ledger.ts'
import type { Outcome } from './mailer.ts'

/**
 * What follows from how an attempt ended (spec D8, faults 19 to 25).
 * @param attempts attempts that counted, this one included
 * @param chance gives a number from 0 up to 1, for the pause
 * @param clean takes secrets out of the server's words
 */
export function judge(outcome: Outcome, attempts: number, chance: () => number, clean: (words: string) => string): Verdict {
  switch (outcome.is) {
    case 'accepted':
      return { is: 'sent', response: clean(outcome.response) }
    case 'refused': {
      const response = clean(outcome.response)
      return outcome.permanent ? { is: 'failed', reason: `refused: ${response}`, response } : again('refused_for_now', response, response)
    }
    case 'unreachable':
      return again('unreachable', clean(outcome.reason), null)
    case 'lostBeforeEnd':
      return again('connection_lost', clean(outcome.reason), null)
    case 'lostAfterEnd':
      return { is: 'unknown', reason: `no_answer: ${clean(outcome.reason)}` }
    case 'loginRefused':
      return { is: 'giveBack', reason: `login_refused: ${clean(outcome.response)}` }
    case 'withheld':
      return { is: 'giveBack', reason: `withheld: ${clean(outcome.reason)}` }
  }

  function again(code: string, words: string, response: string | null): Verdict {
    const delaySeconds = backoffSeconds(attempts, chance())
    const reason = `${code}: ${words}`
    return delaySeconds === null ? { is: 'failed', reason, response } : { is: 'retry', reason, response, delaySeconds }
  }
}
