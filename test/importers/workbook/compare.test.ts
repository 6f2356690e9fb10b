import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import ExcelJS from 'exceljs'
import { describe, expect, test } from 'vitest'
import { openWorkbook } from '../../../src/importers/parseWorkbook.ts'
import { LIMITS } from '../../../src/importers/source.ts'
import type { Cell } from '../../../src/importers/source.ts'
import { bytesSource } from '../../support/writeWorkbook.ts'

const FOLDER = new URL('../../../fixtures/workbooks/', import.meta.url).pathname

/** A value that both readers can be brought to. */
type Plain = null | string | number | boolean | { date: string } | { error: string } | { formula: Plain }

/** What ExcelJS's full reader says, where it is known to be wrong, by workbook, sheet and cell. */
const EXCELJS_IS_WRONG: Record<string, string> = {
  'exceljs-full.xlsx More & more!A41': 'takes elapsed time, [h]:mm, as a date',
  'exceljs-1904.xlsx More & more!A41': 'takes elapsed time, [h]:mm, as a date',
  'libreoffice-rich.xlsx More & more!A41': 'takes elapsed time, [h]:mm, as a date',
  'exceljs-stream-inline.xlsx People!B8': 'its streaming writer does not escape _x000D_, its reader does not decode it in <v>',
  'openpyxl.xlsx People!G4': 'counts days below 60 from another day than Excel shows',
  'libreoffice-plain.xlsx People!G4': 'counts days below 60 from another day than Excel shows',
}

/** ExcelJS does not know date1904="true", only "1". */
const WITHOUT_1904 = new Set(['libreoffice-1904.xlsx'])
const FOUR_YEARS_AND_A_DAY = 1462 * 86_400_000

const name = (row: number, column: number) => `${String.fromCharCode(...column > 26 ? [64 + Math.floor((column - 1) / 26)] : [], 65 + (column - 1) % 26)}${row}`

function ofOurs(cell: Cell): Plain {
  if (cell === null || typeof cell === 'string') return cell
  switch (cell.type) {
    case 'uncalculated': return { formula: null }
    case 'merged': return `merged ${cell.range}`
    default: {
      const value: Plain = cell.type === 'text' ? cell.text : cell.type === 'date' ? { date: cell.iso.length === 10 ? `${cell.iso}T00:00:00` : cell.iso } : cell.type === 'error' ? { error: cell.text } : cell.value
      // ExcelJS's reader loses results that are false or 0.
      return cell.formula ? { formula: value === false || value === 0 ? null : value } : value
    }
  }
}

function ofTheirs(value: ExcelJS.CellValue | undefined, shift: number): Plain {
  if (value === null || value === undefined || value === '') return null
  if (value instanceof Date) return { date: new Date(Math.round((value.getTime() + shift) / 1000) * 1000).toISOString().slice(0, 19) }
  if (typeof value !== 'object') return value
  if ('richText' in value) return value.richText.map((run) => run.text).join('')
  if ('hyperlink' in value) return ofTheirs(value.text, shift)
  if ('error' in value) return { error: value.error }
  if ('formula' in value || 'sharedFormula' in value) {
    const result = ofTheirs(value.result, shift)
    return { formula: result === false || result === 0 ? null : result }
  }
  throw new Error(`ExcelJS gives a value of a kind that is not compared: ${JSON.stringify(value)}`)
}

describe.each(readdirSync(FOLDER).filter((file) => file.endsWith('.xlsx')))('%s', (file) => {
  const bytes = readFileSync(join(FOLDER, file))
  const limits = { ...LIMITS, columns: 16_384 }

  test('every cell of every visible sheet is what ExcelJS\'s full reader finds', async () => {
    const theirs = new ExcelJS.Workbook()
    await theirs.xlsx.load(bytes as unknown as ArrayBuffer)
    const { sheets } = await openWorkbook(bytesSource(bytes), limits)
    expect(sheets.map((sheet) => `${sheet.name} ${sheet.state}`)).toEqual(theirs.worksheets.map((sheet) => `${sheet.name} ${sheet.state}`))

    let compared = 0
    for (const { name: sheetName, state } of sheets) {
      if (state !== 'visible') continue
      const ours = await openWorkbook(bytesSource(bytes), limits, { sheet: sheetName })
      const found: Record<string, Plain> = {}
      const merged: string[] = []
      for await (const batch of ours.rows()) {
        for (const { row, cells } of batch) {
          for (const [index, cell] of cells.entries()) {
            const key = `${file} ${sheetName}!${name(row, index + 1)}`
            if (typeof cell === 'object' && cell?.type === 'merged') merged.push(key)
            else if (cell !== null && !(key in EXCELJS_IS_WRONG)) found[key] = ofOurs(cell)
          }
        }
      }
      const expected: Record<string, Plain> = {}
      theirs.getWorksheet(sheetName)!.eachRow((row, number) => row.eachCell((cell, column) => {
        const key = `${file} ${sheetName}!${name(number, column)}`
        const value = ofTheirs(cell.value, WITHOUT_1904.has(file) && cell.value instanceof Date ? FOUR_YEARS_AND_A_DAY : 0)
        if (value !== null && !merged.includes(key) && !(key in EXCELJS_IS_WRONG)) expected[key] = value
        // A string result that is empty is a blank cell to us.
        if (typeof value === 'object' && value && 'formula' in value && value.formula === null && !(key in found)) delete expected[key]
      }))
      expect(found).toEqual(expected)
      compared += Object.keys(found).length
    }
    expect(compared).toBeGreaterThanOrEqual(25)
  })
})
