import { CronExpressionParser } from 'cron-parser'
import { toString as describeCron } from 'cronstrue'
import { everOccurs, occurrences, type Fields } from './occurrences.ts'

const FIELDS = [
  { name: 'a minute', range: '0 to 59' },
  { name: 'an hour', range: '0 to 23' },
  { name: 'a day of the month', range: '1 to 31' },
  { name: 'a month', range: '1 to 12, or jan to dec' },
  { name: 'a day of the week', range: '0 to 7 (0 and 7 are Sunday), or sun to sat' },
] as const

const NICKNAMES: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *', '@monthly': '0 0 1 * *', '@weekly': '0 0 * * 0', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@hourly': '0 * * * *',
}

/** All that a field may be made of; letters that some crons know (L, W, #, ?, H) mean something else to each. */
const FIELD = /^[\d*,/-]+$/
const NAMES = /\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)\b/gi
const LONGEST = 200

/** Why a text is no schedule, for people, as what follows its name; null where it is one. */
export function scheduleFault(cron: string): string | null {
  const read = readCron(cron)
  return typeof read === 'string' ? read : null
}

/**
 * The first slot of a schedule after an instant.
 * @param cron five fields, as scheduleFault takes them
 * @param zone IANA name
 * @throws RangeError where it is no schedule, or no zone
 */
export function nextSlot(cron: string, zone: string, after: Date): Date {
  for (const instant of occurrences(fieldsOf(cron), zone, after.getTime())) return new Date(instant)
  throw new RangeError(`schedule ${JSON.stringify(cron)} has no slot after ${after.toISOString()}`)
}

/** The slots of a schedule after `after`, up to and with `upTo`, in order; the first `limit` of them. Throws as nextSlot does. */
export function slotsBetween(cron: string, zone: string, after: Date, upTo: Date, limit: number): Date[] {
  const slots: Date[] = []
  if (limit <= 0) return slots
  for (const instant of occurrences(fieldsOf(cron), zone, after.getTime())) {
    if (instant > upTo.getTime()) break
    slots.push(new Date(instant))
    if (slots.length === limit) break
  }
  return slots
}

/** The latest slot after `after` and not after `upTo`, and how many there were with it; null: none. Throws as nextSlot does. */
export function latestSlot(cron: string, zone: string, after: Date, upTo: Date): { slot: Date; count: number } | null {
  let slot: number | null = null
  let count = 0
  for (const instant of occurrences(fieldsOf(cron), zone, after.getTime())) {
    if (instant > upTo.getTime()) break
    slot = instant
    count++
  }
  return slot === null ? null : { slot: new Date(slot), count }
}

/** A schedule in words: "At 02:30, Monday through Friday (America/New_York)". Throws RangeError where it is no schedule. */
export function describeSchedule(cron: string, zone: string): string {
  const words = (text: string): string => describeCron(text, { use24HourTimeFormat: true })
  if (!fieldsOf(cron).eitherDay) return `${words(cron)} (${zone})`
  // Said in one sentence it would sound as if both had to be so.
  const [minute, hour, day, month, weekday] = cron.trim().split(/\s+/)
  const second = words(`${minute} ${hour} * ${month} ${weekday}`)
  return `${words(`${minute} ${hour} ${day} ${month} *`)}; and ${second.charAt(0).toLowerCase()}${second.slice(1)} (${zone})`
}

function fieldsOf(cron: string): Fields {
  const read = readCron(cron)
  if (typeof read === 'string') throw new RangeError(`schedule ${JSON.stringify(cron)} ${read}`)
  return read
}

/** The fields of a schedule, or what is wrong with it. */
function readCron(cron: string): Fields | string {
  const text = cron.trim()
  if (text.startsWith('@')) {
    const meant = NICKNAMES[text.toLowerCase()]
    return `is a nickname; write its five fields${meant === undefined ? ', such as "30 2 * * *" for 02:30 every day' : `: "${meant}"`}`
  }
  const given = text === '' ? [] : text.split(/\s+/)
  if (given.length !== FIELDS.length || cron.length > LONGEST) {
    const seconds = given.length === FIELDS.length + 1 ? ' Seconds cannot be given.' : ''
    return `has ${given.length} ${given.length === 1 ? 'field' : 'fields'} and not five: minute, hour, day of the month, month, day of the week, such as "30 2 * * *" for 02:30 every day.${seconds}`
  }
  const values: number[][] = []
  for (const [index, field] of given.entries()) {
    const read = readField(index, field)
    if (typeof read === 'string') return read
    values.push(read)
  }
  const [minutes, hours, days, months, weekdays] = values as [number[], number[], number[], number[], number[]]
  const [, hour, day, , weekday] = given as [string, string, string, string, string]
  const stepped = [day, weekday].find((field) => /^\*\/(?!1$)/.test(field))
  if (stepped !== undefined && day !== '*' && weekday !== '*') {
    return `has a step (${stepped}) for one kind of day and ${stepped === day ? weekday : day} for the other, which crons read differently; list the days, or leave one of the two at *`
  }
  const fields: Fields = {
    minutes, hours, days: new Set(days), months: new Set(months), weekdays: new Set(weekdays.map((number) => (number === 0 ? 7 : number))),
    eitherDay: !day.startsWith('*') && !weekday.startsWith('*'),
    allDay: hours.length === 24 || /^(?:\*|0-23)\//.test(hour),
  }
  return everOccurs(fields) ? fields : `never happens: no ${months.length === 1 ? `${MONTHS[months[0]! - 1]} has` : 'month of it has'} a day ${days.join(' or ')}`
}

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']

/** The values that one field allows, ascending, or what is wrong with it. */
function readField(index: number, field: string): number[] | string {
  const { name, range } = FIELDS[index]!
  const fault = `has ${name} that cannot be read, ${JSON.stringify(field)}: write *, or ${range}, also in a list (1,2), a range (1-5) or a step (*/2)`
  if (!FIELD.test(index < 3 ? field : field.replace(NAMES, '0'))) return fault
  try {
    const { minute, hour, dayOfMonth, month, dayOfWeek } = CronExpressionParser.parse(FIELDS.map((_, at) => (at === index ? field : '*')).join(' ')).fields
    return [...new Set([minute, hour, dayOfMonth, month, dayOfWeek][index]!.values.map(Number))].toSorted((a, b) => a - b)
  } catch {
    return fault
  }
}
