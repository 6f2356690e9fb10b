import { LIMITED_CHANGES, type Limit, type LimitedChange, type Thresholds } from '../rules/feedPolicy.ts'
import { CommandRefused } from './find.ts'

/** Limits as they are typed, by their options: --deactivations 10%. */
export type LimitFlags = Partial<Record<LimitedChange, string>>

const OPTION: Readonly<Record<LimitedChange, string>> = { creations: '--creations', updates: '--updates', deactivations: '--deactivations', changedEmails: '--changed-emails', reactivations: '--reactivations' }

/** Options of the five kinds of change, as commander declares them. */
export const limitOptions = (value: string, says: (change: string) => string): { flags: string; says: string }[] =>
  LIMITED_CHANGES.map((change) => ({ flags: `${OPTION[change]} <${value}>`, says: says({ creations: 'new people', updates: 'changed people', deactivations: 'people deactivated', changedEmails: 'changed e-mail addresses', reactivations: 'people brought back' }[change]) }))

/** Thresholds with those that were typed in place of the feed's own: "25" people, "10%" of them, both as "25,10%", or "none". Throws CommandRefused. */
export function readThresholds(flags: LimitFlags, own: Thresholds): Thresholds {
  const read = LIMITED_CHANGES.flatMap((change) => (flags[change] === undefined ? [] : [[change, readLimit(OPTION[change], flags[change])] as const]))
  return { ...own, ...(Object.fromEntries(read) as Partial<Thresholds>) }
}

function readLimit(option: string, text: string): Limit {
  if (text === 'none') return { people: null, percent: null }
  const limit: Limit = { people: null, percent: null }
  for (const part of text.split(',').map((each) => each.trim())) {
    const [, digits, percent] = /^(\d{1,9}(?:\.\d+)?)(%?)$/.exec(part) ?? []
    const value = Number(digits)
    if (digits === undefined || (percent === '' ? !Number.isSafeInteger(value) : value > 100)) {
      throw new CommandRefused('usage.limit', `${option} ${JSON.stringify(text)} is no limit.`, `Write a number of people (${option} 25), a share (${option} 10%), both (${option} 25,10%: the smaller one counts), or none.`)
    }
    limit[percent === '' ? 'people' : 'percent'] = value
  }
  return limit
}

/** Numbers of people, as they are allowed once. Throws CommandRefused where one is no whole number. */
export function readAllowed(flags: LimitFlags): Partial<Record<LimitedChange, number>> {
  return Object.fromEntries(
    LIMITED_CHANGES.flatMap((change) => {
      const text = flags[change]
      if (text === undefined) return []
      if (!/^\d{1,9}$/.test(text)) throw new CommandRefused('usage.limit', `${OPTION[change]} ${JSON.stringify(text)} is no number of people.`, `Write a whole number: ${OPTION[change]} 40.`)
      return [[change, Number(text)] as const]
    }),
  )
}
