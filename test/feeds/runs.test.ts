import { describe, expect, test } from 'vitest'
import { judgeRun, PATIENCE_SECONDS, POLL_SECONDS, RETRIES_AT_FIRST, RETRY_SECONDS, type Look } from '../../src/feeds/runs.ts'

const MINUTE = 60
const CONTRACT = { missingAfterMinutes: 240 }
const NOTHING: Look = { arrived: false, blocked: false, growing: null, failed: null, readinessSeconds: 0 }

/** A run whose slot was so many minutes ago, and that was made then; late after an hour, missing after four. */
const scheduled = (minutes: number) => ({ age: minutes * MINUTE, lateIn: (60 - minutes) * MINUTE, missingIn: (240 - minutes) * MINUTE })
/** The same, made only now. */
const catchUp = (minutes: number) => ({ ...scheduled(minutes), age: 0 })
const manual = (minutes = 0) => ({ age: minutes * MINUTE, lateIn: null, missingIn: null })
const judge = (run: ReturnType<typeof manual> | ReturnType<typeof scheduled>, look: Partial<Look>) => judgeRun(run, { ...NOTHING, ...look }, CONTRACT)

describe('a scheduled run', () => {
  test.each([
    ['before it is late', 10, { kind: 'wait', inSeconds: POLL_SECONDS, late: false }],
    ['just before it is late', 59.5, { kind: 'wait', inSeconds: 30, late: false }],
    ['when it is late', 60, { kind: 'wait', inSeconds: POLL_SECONDS, late: true }],
    ['just before it is missing', 239.75, { kind: 'wait', inSeconds: 15, late: true }],
    ['when it is missing', 240, { kind: 'end', state: 'missing' }],
  ])('that finds nothing, %s', (_, minutes, verdict) => {
    expect(judge(scheduled(minutes), {})).toEqual(verdict)
  })

  test('that has its file is done, however late', () => {
    expect(judge(scheduled(1), { arrived: true })).toEqual({ kind: 'end', state: 'done' })
    expect(judge(scheduled(500), { arrived: true })).toEqual({ kind: 'end', state: 'done' })
  })

  test('that has a file and sees another one grow waits for that one as well, without an alert', () => {
    expect(judge(scheduled(70), { arrived: true, growing: { inSeconds: 20 } })).toEqual({ kind: 'wait', inSeconds: 20, late: false })
    expect(judge(scheduled(240), { arrived: true, growing: { inSeconds: 20 } })).toEqual({ kind: 'end', state: 'done' })
  })

  test('whose file is still growing when it is due is late all the same', () => {
    expect(judge(scheduled(70), { growing: { inSeconds: null } })).toEqual({ kind: 'wait', inSeconds: POLL_SECONDS, late: true })
    expect(judge(scheduled(240), { growing: { inSeconds: null } })).toEqual({ kind: 'end', state: 'missing' })
  })

  test('that waits for an import waits until it has ended, and says nothing of being late', () => {
    expect(judge(scheduled(500), { blocked: true })).toEqual({ kind: 'wait', inSeconds: null, late: false })
  })

  test('that cannot reach the server tries again, less often after a while, and fails when the file would be missing', () => {
    expect(judge(scheduled(1), { failed: { times: RETRIES_AT_FIRST } })).toEqual({ kind: 'wait', inSeconds: RETRY_SECONDS.first, late: false })
    expect(judge(scheduled(20), { failed: { times: RETRIES_AT_FIRST + 1 } })).toEqual({ kind: 'wait', inSeconds: RETRY_SECONDS.later, late: false })
    expect(judge(scheduled(70), { failed: { times: 9 } }), 'whether it is late nobody knows').toMatchObject({ kind: 'wait', late: false })
    expect(judge(scheduled(240), { failed: { times: 9 } })).toEqual({ kind: 'end', state: 'failed' })
    expect(judge(scheduled(240), { arrived: true, failed: { times: 1 } }), 'one of two did not come through').toEqual({ kind: 'end', state: 'failed' })
  })
})

describe('a run for a slot that passed while nobody was there', () => {
  test('is missing at once where nothing lies there', () => {
    expect(judge(catchUp(600), {})).toEqual({ kind: 'end', state: 'missing' })
  })

  test('gives a file the time to show that it is whole, without an alert', () => {
    expect(judge(catchUp(600), { growing: { inSeconds: 30 }, readinessSeconds: 30 })).toEqual({ kind: 'wait', inSeconds: 30, late: false })
    expect(judge({ ...catchUp(600), age: PATIENCE_SECONDS + 30 }, { growing: { inSeconds: 30 }, readinessSeconds: 30 })).toEqual({ kind: 'end', state: 'missing' })
  })

  test('gives a server that is away as long as any other run', () => {
    expect(judge(catchUp(600), { failed: { times: 1 } })).toMatchObject({ kind: 'wait' })
    expect(judge({ ...catchUp(600), age: 240 * MINUTE }, { failed: { times: 1 } })).toEqual({ kind: 'end', state: 'failed' })
  })
})

describe('a run that an operator asked for', () => {
  test('ends with its one look', () => {
    expect(judge(manual(), {})).toEqual({ kind: 'end', state: 'done' })
    expect(judge(manual(), { arrived: true })).toEqual({ kind: 'end', state: 'done' })
    expect(judge(manual(), { failed: { times: 1 } })).toEqual({ kind: 'end', state: 'failed' })
  })

  test('waits a while for a file that is not whole yet', () => {
    expect(judge(manual(), { growing: { inSeconds: 5 }, readinessSeconds: 5 })).toEqual({ kind: 'wait', inSeconds: 5, late: false })
    expect(judge(manual(10), { growing: { inSeconds: 5 }, readinessSeconds: 5 })).toEqual({ kind: 'end', state: 'done' })
  })
})
