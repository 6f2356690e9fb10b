import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { troubleOf } from '../../src/entities/databaseTrouble.ts'
import { ConnectionSilent } from '../../src/entities/watchConnections.ts'

const coded = (code: string): Error => Object.assign(new Error('…'), { code })

describe('the trouble of a database', () => {
  test('is its disk, and nothing else is', () => {
    expect(troubleOf(coded('53100'))).toBe('full')
    expect(['53200', '53300', '58030'].map((code) => troubleOf(coded(code)))).toEqual(['away', 'away', 'away'])
  })

  test.each(['08006', '08001', '53300', '57P01', '57P02', '57P03', '58030', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])('is its being away: %s', (code) => {
    expect(troubleOf(coded(code))).toBe('away')
  })

  test('is a connection that has fallen silent', () => {
    expect(troubleOf(new ConnectionSilent())).toBe('away')
  })

  test.each(['22003', '23505', '23514', '25P03', '40001', '40P01', '42P01', '57014', 'XX000', 'ENOENT', 'ENOSPC', 'file.empty'])('is not what was asked of it, or who asked: %s', (code) => {
    expect(troubleOf(coded(code))).toBeNull()
  })

  test('is not what has no code and says nothing of a connection', () => {
    expect([new Error('no such thing'), new TypeError('x is undefined'), 'Connection terminated', null, undefined, { code: '53100' }].map(troubleOf)).toEqual([null, null, null, null, null, null])
  })

  test('is what pg says of one that nobody answers, or that has ended', async () => {
    const nobody = new Client({ connectionString: 'postgres://nobody@127.0.0.1:1/none' })
    expect(troubleOf(await nobody.connect().catch((error: unknown) => error))).toBe('away')
    expect(['Connection terminated unexpectedly', 'Connection terminated', 'Client has encountered a connection error and is not queryable', 'Client was closed and is not queryable', 'timeout expired'].map((message) => troubleOf(new Error(message)))).toEqual(
      Array.from({ length: 5 }, () => 'away'),
    )
  })
})
