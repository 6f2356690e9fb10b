import { openWorkbook } from '../../../src/importers/parseWorkbook.ts'
import type { WorkbookOptions } from '../../../src/importers/parseWorkbook.ts'
import { LIMITS } from '../../../src/importers/source.ts'
import type { Cell, Limits, SourceRow } from '../../../src/importers/source.ts'
import { FileRefused } from '../../../src/rules/refusal.ts'
import { bytesSource, writeWorkbook } from '../../support/writeWorkbook.ts'
import type { WorkbookXml } from '../../support/writeWorkbook.ts'

/** All rows of a workbook's bytes. */
export async function readRows(bytes: Buffer, limits: Partial<Limits> = {}, options: WorkbookOptions = {}): Promise<SourceRow[]> {
  const workbook = await openWorkbook(bytesSource(bytes), { ...LIMITS, ...limits }, options)
  return (await Array.fromAsync(workbook.rows())).flat()
}

/** All rows of a workbook with one sheet of these rows. */
export const readSheetRows = (rows: string, rest: Omit<WorkbookXml, 'sheets'> & { after?: string; links?: Record<string, string> } = {}, limits: Partial<Limits> = {}) => {
  const { after, links, ...workbook } = rest
  return readRows(writeWorkbook({ ...workbook, sheets: [{ rows, ...(after ? { after } : {}), ...(links ? { links } : {}) }] }), limits)
}

/** The cells of the only row that is made of these. */
export async function readCells(cells: string, rest: Parameters<typeof readSheetRows>[1] = {}): Promise<readonly Cell[]> {
  const rows = await readSheetRows(`<row r="1">${cells}</row>`, rest)
  if (rows.length > 1) throw new Error('More than one row')
  return rows[0]?.cells ?? []
}

/** The refusal that some work ends in, as code and what it says is wrong. Fails where the work succeeds or fails otherwise. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; [detail: string]: string | number }> {
  try {
    await work
  } catch (error) {
    if (error instanceof FileRefused) return { code: error.code, ...error.detail }
    throw error
  }
  throw new Error('Nothing was refused')
}
