import { FileRefused } from '../rules/refusal.ts'
import { asSent } from './errorCsv.ts'
import { openCsv } from './parseCsv.ts'
import { openWorkbook } from './parseWorkbook.ts'
import { sniff } from './sniff.ts'
import { LIMITS, type ByteSource, type Source } from './source.ts'
import { IDENTITY_SHEET, readTemplateIdentity, type TemplateIdentity } from './template/identity.ts'

export type OpenedSource = Source & {
  /** Whom the workbook was made for, where it came out of Muster. */
  identity: TemplateIdentity | null
}

/**
 * Opens a file by what its first bytes say it is, whatever its name ends in (spec A8).
 * Throws FileRefused for what is no workbook and no text.
 */
export async function openSource(source: ByteSource, options: { name: string; sheet: string | null; signal?: AbortSignal }): Promise<OpenedSource> {
  if (source.size === 0) throw new FileRefused('file.empty', { what: 'no data' })
  const signal = options.signal ? { signal: options.signal } : {}
  const kind = await sniff(source, LIMITS, { name: options.name, ...signal })
  if (kind === 'text') {
    const csv = await openCsv(source, LIMITS, signal)
    return { description: csv.description, rows: () => asSent(csv.rows()), identity: null }
  }
  const workbook = await openWorkbook(source, LIMITS, { ...signal, ...(options.sheet === null ? {} : { sheet: options.sheet }) })
  const identity = readTemplateIdentity(await workbook.readHiddenSheet(IDENTITY_SHEET))
  return { description: workbook.description, rows: () => workbook.rows(), identity }
}
