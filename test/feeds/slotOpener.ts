/**
 * A process that opens slots as schedulers do, as often as it is told (ROUNDS), when a line comes on its standard input. Says its clock
 * first, and at the end how many runs it made.
 */
import { once } from 'node:events'
import { Database } from '../../src/entities/database.ts'
import { openSlots } from '../../src/feeds/slots.ts'

const { DATABASE_URL, ROUNDS } = process.env
const database = new Database(DATABASE_URL!, { maxConnections: 2 })
await database.now()
process.stdout.write(`${JSON.stringify({ clock: new Date().toISOString() })}\n`)
await once(process.stdin, 'data')
let opened = 0
for (let round = 0; round < Number(ROUNDS); round++) opened += await openSlots(database)
process.stdout.write(`${JSON.stringify({ opened })}\n`)
await database.close()
process.stdin.destroy()
