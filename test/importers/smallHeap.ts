/** Run with a small heap by memory.test.ts: reads the file that is named, or does what is, and prints what came of it as JSON. */
import { readFile } from 'node:fs/promises'
import { KnownValues } from '../../src/importers/knownValues.ts'
import { openSource } from '../../src/importers/openSource.ts'
import { IssueWriter } from '../../src/importers/rowIssues.ts'
import { FileRefused } from '../../src/rules/refusal.ts'
import { bytesSource } from '../support/writeWorkbook.ts'

const [deed, path = ''] = process.argv.slice(2)
/** Pieces of a file, each with one value that is of interest: more than the heap holds together. */
const PIECES = 600
const piece = (index: number): string => Buffer.alloc(256 * 1024, `a value of a group ${index}, `).toString('latin1')

async function readWhole(): Promise<object> {
  let rows = 0
  let most = 0
  try {
    const source = await openSource(bytesSource(await readFile(path)), { name: path, sheet: null })
    for await (const batch of source.rows()) {
      rows += batch.length
      most = Math.max(most, batch.length)
    }
    return { rows, most }
  } catch (error) {
    if (error instanceof FileRefused) return { rows, code: error.code, ...error.detail }
    throw error
  }
}

function keepIssues(): object {
  const issues = new IssueWriter({ tenant: () => Promise.reject(new Error('nothing is written')) }, '1', '1')
  for (let index = 0; index < PIECES; index++) issues.add({ row: index, header: null, field: null, code: 'group.unknown', severity: 'error', value: piece(index).slice(0, 20), detail: { nearest: piece(index).slice(0, 20) } })
  return { kept: PIECES, isFull: issues.isFull }
}

function keepValues(): object {
  const known = new KnownValues([{ id: '1', name: 'Managers', withdrawn: false } as never])
  for (let index = 0; index < PIECES; index++) {
    const text = piece(index)
    known.find(text.slice(0, 22))
    known.nearest(text.slice(0, 22))
    known.find(text)
    known.nearest(text)
  }
  return { kept: PIECES }
}

process.stdout.write(JSON.stringify(deed === 'read' ? await readWhole() : deed === 'issues' ? keepIssues() : keepValues()))
