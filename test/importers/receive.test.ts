/** Files that come piece by piece from elsewhere: nothing of them counts before all of it is there. */
import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { beforeEach, describe, expect, test } from 'vitest'
import { storedFile } from '../../src/importers/filePieces.ts'
import { beginReceiving, DEFAULT_OPTIONS, dropReceivedInPart, dropReceiving, finishReceiving, receiveFile, receiveParts, ReceivingGone } from '../../src/importers/receive.ts'
import { importing, useDatabase, type Importing } from '../support/importing.ts'

const databaseOf = useDatabase()
let people: Importing
const tenant: <T>(work: Parameters<typeof databaseOf.current.tenant<T>>[1]) => Promise<T> = (work) => databaseOf.current.tenant(people.organizationId, work)

beforeEach(async () => {
  people = await importing(databaseOf.current)
})

const begin = () => tenant((tx) => beginReceiving(tx, { name: 'people.csv', feedId: '7' }, DEFAULT_OPTIONS))
const partsOf = (importId: string) => receiveParts(databaseOf.current, people.organizationId, importId)
const stateOf = async (importId: string) => (await people.sql<{ state: string; bytes: number; hash: string }>('select state, file_bytes::float8 as bytes, file_hash as hash from imports where id = $1', [importId]))[0]
const MEGABYTE = 1024 * 1024

describe('a file that is received', () => {
  test.each([
    ['nothing', 0, 1],
    ['one byte', 1, 1],
    ['parts that fill a piece to its end', 8 * MEGABYTE, 32 * 1024],
    ['parts that go across pieces', 9 * MEGABYTE + 17, 30 * 1024],
    ['one part of several pieces', 9 * MEGABYTE, 9 * MEGABYTE],
  ])('is read as it came: %s', async (_, size, part) => {
    const bytes = randomBytes(size)
    const importId = await begin()
    const received = partsOf(importId)
    for (let at = 0; at < size; at += part) {
      // Whoever hands a part over may use its memory again.
      const lent = Buffer.from(bytes.subarray(at, at + part))
      await received.write(lent)
      lent.fill(0)
    }
    const whole = await received.end()
    expect(whole).toEqual({ bytes: size, hash: createHash('sha256').update(bytes).digest('hex') })
    expect(await stateOf(importId)).toMatchObject({ state: 'receiving' })
    await tenant((tx) => finishReceiving(tx, importId, whole))
    expect(await stateOf(importId)).toEqual({ state: 'received', ...whole })
    expect((await buffer(storedFile(databaseOf.current, people.organizationId, importId, size).stream())).equals(bytes)).toBe(true)
  })

  test('is due to nobody before it is whole', async () => {
    const importId = await begin()
    const due = async () => (await people.sql('select from fleet.imports_due() where id = $1', [importId])).length
    expect(await due()).toBe(0)
    await tenant((tx) => finishReceiving(tx, importId, { bytes: 0, hash: '' }))
    expect(await due()).toBe(1)
  })

  test('and left is removed when its lease is over, and not before', async () => {
    const importId = await begin()
    await partsOf(importId).end()
    await tenant((tx) => dropReceivedInPart(tx, importId))
    expect(await stateOf(importId)).toBeDefined()
    await people.sql(`update imports set lease_until = now() - interval '1 second' where id = $1`, [importId])
    expect(await people.sql('select id from fleet.imports_received_in_part()')).toEqual([{ id: importId }])
    await tenant((tx) => dropReceivedInPart(tx, importId))
    expect(await stateOf(importId)).toBeUndefined()
  })

  test('says that it goes on with each piece', async () => {
    const importId = await begin()
    await people.sql(`update imports set lease_until = now() - interval '1 second' where id = $1`, [importId])
    await partsOf(importId).write(randomBytes(4 * MEGABYTE))
    expect(await people.sql('select id from fleet.imports_received_in_part()')).toEqual([])
  })

  test('and removed meanwhile is told to whoever goes on', async () => {
    const importId = await begin()
    const received = partsOf(importId)
    await received.write(Buffer.from('a'))
    await tenant((tx) => dropReceiving(tx, importId))
    await expect(received.end()).rejects.toBeInstanceOf(ReceivingGone)
    await expect(tenant((tx) => finishReceiving(tx, importId, { bytes: 1, hash: '' }))).rejects.toBeInstanceOf(ReceivingGone)
    expect(await people.sql('select from file_pieces where import_id = $1', [importId])).toEqual([])
  })

  test('and counts already is not removed', async () => {
    const importId = await receiveFile(databaseOf.current, people.organizationId, { name: 'people.csv', bytes: [Buffer.from('a')] }, DEFAULT_OPTIONS)
    await tenant((tx) => dropReceiving(tx, importId))
    expect(await stateOf(importId)).toMatchObject({ state: 'received', bytes: 1 })
  })
})
