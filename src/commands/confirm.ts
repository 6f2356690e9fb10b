import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import type { Context } from './context.ts'
import { count, dim, inert, number } from './output.ts'

/** So many are named in a preview; of the others their number is told. */
export const SHOWN_PEOPLE = 10
const SHOWN_LEFT_OUT = 3

/** Where a question is asked, and whether somebody is there to answer. */
export type Terminal = { input: Readable & { isTTY?: boolean }; output: Writable }

/**
 * Whether to go ahead with what was shown: with --yes; else somebody at a terminal is asked, and only y or yes is a yes. With --json, and
 * where nobody is there, nothing is asked and the answer is no, after telling so. Ask outside of transactions: people take their time.
 */
export async function confirmed(context: Pick<Context, 'out'>, yes: boolean | undefined, question: string, terminal: Terminal = { input: process.stdin, output: process.stderr }): Promise<boolean> {
  const { out } = context
  if (yes) return true
  if (!out.json && terminal.input.isTTY) {
    const answer = await ask(question, terminal)
    if (/^\s*y(?:es)?\s*$/i.test(answer)) return true
    out.say('Nothing was changed.')
    return false
  }
  out.remark('Nothing was changed. Add --yes to go ahead.')
  return false
}

/** The line that was answered; empty where there is none. */
async function ask(question: string, { input, output }: Terminal): Promise<string> {
  // Not as a terminal: Ctrl-C is then heard by the process, which ends in order.
  const lines = createInterface({ input, output, terminal: false })
  try {
    output.write(`${question} [y/N] `)
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
  }
}

/** Somebody in a preview, by the names that a person is known by. */
export type Shown = { username?: string | null; firstName?: string; lastName?: string; email?: string | null }

/** Lines that name the first of so many people, one each, and say how many more there are. */
export function namePeople(people: readonly Shown[], total: number): string[] {
  const lines = people.slice(0, SHOWN_PEOPLE).map(({ username, firstName, lastName, email }) => {
    const name = [firstName, lastName].filter(Boolean).join(' ')
    return `  ${inert([username, name, email].filter(Boolean).join('  '))}`
  })
  const more = total - lines.length
  return more > 0 ? [...lines, dim(`  and ${number(more)} more`)] : lines
}

/**
 * Lines that say who is left out, grouped by reason, with the number and the first names.
 * @param sentences what a reason's code means
 */
export function nameLeftOut(leftOut: readonly { username: string; reason: string }[], sentences: Readonly<Record<string, string>>): string[] {
  if (leftOut.length === 0) return []
  const groups = new Map<string, string[]>()
  for (const { username, reason } of leftOut) groups.set(reason, [...(groups.get(reason) ?? []), username])
  const lines = [...groups].toSorted(([, a], [, b]) => b.length - a.length).map(([reason, names]) => {
    const more = names.length - SHOWN_LEFT_OUT
    return `  ${number(names.length)}: ${sentences[reason] ?? reason} ${dim(inert(`(${names.slice(0, SHOWN_LEFT_OUT).join(', ')}${more > 0 ? ` and ${number(more)} more` : ''})`))}`
  })
  return [`Left out: ${count(leftOut.length, 'person', 'people')}`, ...lines]
}

/** Those left out, by reason and number, as --json prints them. */
export function countLeftOut(leftOut: readonly { userId?: string; username: string; reason: string }[], sentences: Readonly<Record<string, string>>): { reason: string; message: string; count: number; users: string[] }[] {
  const groups = Map.groupBy(leftOut, ({ reason }) => reason)
  return [...groups].map(([reason, people]) => ({ reason, message: sentences[reason] ?? reason, count: people.length, users: people.map(({ username }) => username) }))
}
