import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { confirmed, countLeftOut, nameLeftOut, namePeople } from '../../src/commands/confirm.ts'
import { openOutput } from '../../src/commands/output.ts'

const session = (json: boolean, isTTY: boolean) => {
  const said: string[] = []
  const stream = { write: (line: string) => said.push(line) }
  const input = Object.assign(new PassThrough(), { isTTY })
  const output = new PassThrough()
  return { said, input, output, out: openOutput(json, stream, stream, () => 0) }
}

describe('going ahead', () => {
  test.each([['y\n', true], [' YES \n', true], ['n\n', false], ['\n', false], ['yesterday\n', false], ['', false]])('at a terminal the answer %j is %s', async (answer, expected) => {
    const { input, output, out } = session(false, true)
    input.end(answer)
    expect(await confirmed({ out }, undefined, 'Deactivate 12 users?', { input, output })).toBe(expected)
    output.end()
    expect(await text(output)).toBe('Deactivate 12 users? [y/N] ')
  })

  test('--yes asks nobody', async () => {
    const { input, output, out } = session(false, true)
    expect(await confirmed({ out }, true, 'Sure?', { input, output })).toBe(true)
    expect(output.read()).toBeNull()
  })

  test.each([[true, true], [false, false]])('with json %s and a terminal %s nothing is asked, and it is told what to do', async (json, isTTY) => {
    const { input, output, out, said } = session(json, isTTY)
    expect(await confirmed({ out }, undefined, 'Sure?', { input, output })).toBe(false)
    expect([output.read(), said]).toEqual([null, ['Nothing was changed. Add --yes to go ahead.\n']])
  })
})

describe('the preview', () => {
  const people = Array.from({ length: 12 }, (_, index) => ({ username: `u${index}`, firstName: 'Ana', lastName: `\u202e${index}`, email: null }))

  test('names the first ten and counts the others; nothing in a name turns the line around', () => {
    const lines = namePeople(people, 4321)
    expect([lines.length, lines[0], lines[10]]).toEqual([11, '  u0  Ana \\u{202e}0', expect.stringContaining('and 4,311 more') as string])
    expect(namePeople(people.slice(0, 2), 2)).toHaveLength(2)
  })

  test('tells those left out by reason, the most first', () => {
    const leftOut = [{ username: 'z', reason: 'email_missing' }, ...people.map(({ username }) => ({ username, reason: 'user_inactive' }))]
    const lines = nameLeftOut(leftOut, { user_inactive: 'The user is deactivated.' })
    expect(lines[0]).toBe('Left out: 13 people')
    expect(lines[1]).toContain('12: The user is deactivated.')
    expect(lines[1]).toContain('(u0, u1, u2 and 9 more)')
    expect(lines[2]).toContain('1: email_missing')
    expect(countLeftOut(leftOut, {}).map(({ reason, count }) => [reason, count])).toEqual([['email_missing', 1], ['user_inactive', 12]])
    expect(nameLeftOut([], {})).toEqual([])
  })
})
