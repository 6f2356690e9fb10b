import { splitRecords, splitUnfinished } from './records.ts'

/** The delimiters that are looked for, the likeliest first (spec A3). */
const CANDIDATES = [',', ';', '\t', '|']
/** How many records are looked at. */
const RECORDS = 100

/**
 * The delimiter named by a line `sep=;` at the very beginning, as Excel writes and reads it, and the characters
 * of that line with its newline. Null where there is no such line.
 */
export const readSeparatorLine = (text: string): { delimiter: string; length: number } | null => {
  const line = /^(?:sep=([^\w\s"]|\t)|"sep=([^\w\s"]|\t)")(?:\r\n|\r|\n|$)/i.exec(text)
  return line ? { delimiter: (line[1] ?? line[2])!, length: line[0].length } : null
}

/**
 * The delimiter under which the first records have the most even number of fields. It has to occur in the header,
 * outside quotes, so that commas in the text of a semicolon file count for nothing unless the header has them too;
 * one that is mostly followed by a space is more likely punctuation. A comma where there is one column only.
 * `text` begins at the header; `isWhole` when the file ends with it.
 */
export const detectDelimiter = (text: string, isWhole: boolean): string => {
  let best = { delimiter: ',', score: -1, fields: 0 }
  for (const delimiter of CANDIDATES) {
    const rated = rate(text, isWhole, delimiter)
    if (rated.fields < 2) continue
    if (rated.score > best.score || (rated.score === best.score && rated.fields > best.fields)) best = { delimiter, ...rated }
  }
  return best.delimiter
}

const rate = (text: string, isWhole: boolean, delimiter: string): { score: number; fields: number } => {
  const { records } = splitRecords(isWhole ? `${text}\n` : text, delimiter)
  if (records.length === 0) records.push(splitUnfinished(text, delimiter).fields)
  const rows = records.filter((fields) => fields.length > 1 || fields[0] !== '').slice(0, RECORDS)
  const header = rows[0]?.length ?? 0
  if (header < 2) return { score: 0, fields: header }
  const even = rows.filter((fields) => fields.length === header).length / rows.length
  const rest = rows.flatMap((fields) => fields.slice(1))
  const spaced = rest.filter((field) => field.startsWith(' ')).length / Math.max(1, rest.length)
  return { score: even - spaced / 2, fields: header }
}
