import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffSeconds, MAX_ATTEMPTS } from '../../src/deliveries/backoff.ts'
import { coalesce } from '../../src/deliveries/coalesce.ts'
import { judge } from '../../src/deliveries/judge.ts'
import { definiteReply } from '../../src/deliveries/replies.ts'
import { redact } from '../../src/deliveries/redact.ts'
import type { Outcome } from '../../src/deliveries/mailer.ts'

const judged = (outcome: Outcome, attempts = 1) => judge(outcome, attempts, () => 0.5, (words) => words)

describe('the verdict', () => {
  test('is unknown exactly where the end of the message left and no complete answer came', () => {
    const outcomes: Outcome[] = [
      { is: 'accepted', response: '250 ok' },
      { is: 'refused', permanent: true, response: '550 no' },
      { is: 'refused', permanent: false, response: '450 later' },
      { is: 'loginRefused', response: '535 no' },
      { is: 'unreachable', reason: 'x' },
      { is: 'lostBeforeEnd', reason: 'x' },
      { is: 'lostAfterEnd', reason: 'x' },
      { is: 'withheld', reason: 'x' },
    ]
    expect(outcomes.map((outcome) => judged(outcome).is)).toEqual(['sent', 'failed', 'retry', 'giveBack', 'retry', 'retry', 'unknown', 'giveBack'])
  })

  test('of what was refused for now is failed when no attempt is left', () => {
    expect(judged({ is: 'refused', permanent: false, response: '450 later' }, MAX_ATTEMPTS)).toEqual({ is: 'failed', reason: 'refused_for_now: 450 later', response: '450 later' })
    expect(judged({ is: 'unreachable', reason: 'x' }, MAX_ATTEMPTS)).toMatchObject({ is: 'failed', response: null })
  })
})

describe('the pauses', () => {
  test('grow, and together last about two days', () => {
    const pauses = Array.from({ length: MAX_ATTEMPTS - 1 }, (_, index) => backoffSeconds(index + 1, 0.5)!)
    expect(pauses.slice(0, 4)).toEqual([60, 300, 900, 3600])
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b))
    expect(pauses.reduce((sum, pause) => sum + pause, 0) / 3600).toBeCloseTo(46.35, 1)
    expect(backoffSeconds(MAX_ATTEMPTS, 0.5)).toBeNull()
  })

  test('differ by a tenth at most', () => {
    expect(backoffSeconds(1, 0)).toBeCloseTo(54)
    expect(backoffSeconds(1, 1)).toBeCloseTo(66)
  })
})

describe('words of a server', () => {
  test('never hold the secret, however it is written', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z2-9\-+*#%=@]{15}$/), (secret) => {
        const base64 = Buffer.from(secret).toString('base64')
        for (const form of [secret, secret.replaceAll('=', '=3D'), encodeURIComponent(secret), base64]) {
          const clean = redact(`550 you said "${form}" twice: ${form}`, secret)
          expect(clean).not.toContain(secret)
          expect(clean).not.toContain(base64.slice(0, -4))
          expect(clean).toMatch(/^550 you said "\[removed\]/)
        }
      }),
    )
  })

  test('become one line of bounded length', () => {
    expect(redact('550-one\r\n550 two\u0000', null)).toBe('550-one 550 two')
    expect(redact('x'.repeat(5_000), null)).toHaveLength(1_000)
  })
})

describe('coalesced writes', () => {
  test('put all that arrive during a write into the next one, and answer each with its own', async () => {
    const batches: number[][] = []
    const gates: (() => void)[] = []
    const write = coalesce(async (items: number[]) => {
      batches.push(items)
      await new Promise<void>((resolve) => gates.push(resolve))
      return items.map((item) => item * 10)
    })
    const first = write(1)
    await expect.poll(() => gates.length).toBe(1)
    const rest = [write(2), write(3), write(4)]
    gates[0]!()
    expect(await first).toBe(10)
    await expect.poll(() => gates.length).toBe(2)
    gates[1]!()
    expect(await Promise.all(rest)).toEqual([20, 30, 40])
    expect(batches).toEqual([[1], [2, 3, 4]])
  })

  test('that fail refuse their batch only', async () => {
    const write = coalesce(async (items: string[]) => {
      if (items.includes('bad')) throw new Error('no')
      return items
    })
    await expect(Promise.all([write('bad'), write('beside it')])).rejects.toThrow('no')
    expect(await write('good')).toBe('good')
  })
})

describe('an error of nodemailer', () => {
  const error = (fields: object) => Object.assign(new Error('x'), fields)

  test('is a definite refusal only for a reply that was received whole', () => {
    expect(definiteReply(error({ code: 'EMESSAGE', responseCode: 554, response: '554 no' }))).toEqual({ response: '554 no', permanent: true, closing: false })
    expect(definiteReply(error({ code: 'EENVELOPE', responseCode: 421, response: '421 bye' }))).toEqual({ response: '421 bye', permanent: false, closing: true })
    // So it looks when the connection closes in the middle of "554 no such…".
    expect(definiteReply(error({ code: 'ECONNECTION', command: 'CONN', responseCode: 554, response: '554 no' }))).toBeNull()
    expect(definiteReply(error({ code: 'EMESSAGE', responseCode: 354, response: '354 go' }))).toBeNull()
    expect(definiteReply(error({ code: 'ETIMEDOUT' }))).toBeNull()
  })

  test('503 is about the session, not about the message', () => {
    expect(definiteReply(error({ code: 'EENVELOPE', responseCode: 503, response: '503 bad sequence' }))).toMatchObject({ permanent: false })
  })
})
