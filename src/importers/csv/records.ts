import Papa from 'papaparse'

/** The whole records at the beginning of a text. */
export type Records = {
  /** The fields of each record, with quotes taken off; arrays that the caller may change and keep. */
  records: string[][]
  /** What follows: the beginning of a record that is not whole. */
  rest: string
  /** Whether no record has a newline inside its quotes, so that each is one line. */
  areLines: boolean
  /**
   * The number of newlines before a quoted field of several lines in which a quote stands alone, or null. It cannot be told
   * whether somebody forgot to write that quote twice, or to close the field: then the lines are swallowed records.
   */
  ambiguousAfter: number | null
}

type Parsed = { data: string[][]; errors: { code: string; row: number; index: number }[]; meta: { cursor: number } }

/**
 * Splits text, which begins at a record, into records and fields (RFC 4180). LF, CRLF or CR outside quotes ends a record;
 * a record without a newline behind it is not whole, nor is one with a CR at the end of the text: its LF may be still to come.
 * As in every spreadsheet a quote opens a quoted field only as the field's first character and is text elsewhere;
 * spaces between a closing quote and the delimiter are dropped; a quote alone inside a quoted field is text.
 *
 * The parser's own streaming guesses one newline for the file, reads ahead of its consumer and takes a mark
 * from the beginning of every piece, so that its inner parser is called instead, on pieces.
 */
export const splitRecords = (raw: string, delimiter: string): Records => {
  const hasLone = hasLoneCarriageReturn(raw)
  const text = hasLone ? unifyNewlines(raw, delimiter) : raw
  const { data, errors, meta } = new Papa.Parser({ delimiter, newline: '\n' }).parse(text, 0, true) as Parsed
  // Every CR belongs to a CRLF, and one at the end of a record to the CRLF that ends it: before a quote it would stand alone.
  if (!hasLone && text.includes('\r')) {
    for (const record of data) {
      const last = record.length - 1
      const field = record[last]!
      if (field.charCodeAt(field.length - 1) === 13) record[last] = field.slice(0, -1)
    }
  }
  const ambiguous = ambiguousField(text, errors.filter((error) => error.row < data.length), delimiter)
  return {
    records: data,
    rest: text.slice(meta.cursor),
    areLines: !text.includes('"') || (!hasLone && countLineFeeds(text, meta.cursor) === data.length),
    ambiguousAfter: ambiguous === -1 ? null : countNewlines(text.slice(0, ambiguous)),
  }
}

const ambiguousField = (text: string, errors: Parsed['errors'], delimiter: string): number => {
  let seen = -1
  for (const { index } of errors) {
    // Each quote alone is an error, all those of one field with the field's beginning.
    if (index === seen) continue
    seen = index
    if (/[\r\n]/.test(text.slice(index, closingQuote(text, index, delimiter)))) return index
  }
  return -1
}

/** The fields so far of a record that is not whole, and the quoted field in it that is not closed yet, if any. */
export const splitUnfinished = (text: string, delimiter: string): { fields: string[]; open: { text: string; newlinesBefore: number } | null } => {
  // The parser takes a quote at the very end as a closing one, though the second half of a doubled quote may follow.
  let end = text.length
  while (text[end - 1] === '"') end -= 1
  const { data, errors } = new Papa.Parser({ delimiter, newline: '\n' }).parse(text.slice(0, end), 0, false) as Parsed
  const unclosed = errors.find((error) => error.code === 'MissingQuotes')
  return { fields: data[0] ?? [], open: unclosed ? { text: text.slice(unclosed.index), newlinesBefore: countNewlines(text.slice(0, unclosed.index)) } : null }
}

/** Whether some CR is neither part of a CRLF nor the last character, whose LF may be still to come. */
const hasLoneCarriageReturn = (text: string): boolean => {
  // Five times as quick as a regular expression, and every piece of a file goes through here.
  for (let at = text.indexOf('\r'); at !== -1 && at < text.length - 1; at = text.indexOf('\r', at + 1)) {
    if (text.charCodeAt(at + 1) !== 10) return true
  }
  return false
}

/** Makes each CR, LF and CRLF outside quotes an LF, and leaves those within quotes. The text begins at a record. */
const unifyNewlines = (text: string, delimiter: string): string => {
  const end = text.endsWith('\r') ? text.length - 1 : text.length
  let unified = ''
  let from = 0
  for (let quote = text.indexOf('"'); quote !== -1 && quote < end;) {
    const before = text[quote - 1]
    if (quote > from && before !== delimiter && before !== '\n' && before !== '\r') {
      quote = text.indexOf('"', quote + 1)
      continue
    }
    const closing = closingQuote(text, quote + 1, delimiter)
    const after = closing === -1 ? end : closing + 1
    unified += text.slice(from, quote).replace(/\r\n?/g, '\n') + text.slice(quote, after)
    from = after
    quote = text.indexOf('"', after)
  }
  return unified + text.slice(from, end).replace(/\r\n?/g, '\n') + text.slice(end)
}

/** Newlines in a text, each CR, LF and CRLF as one. */
export const countNewlines = (text: string): number => {
  let count = 0
  for (const _ of text.matchAll(/\r\n?|\n/g)) count += 1
  return count
}

/** LFs in the first `end` characters: quicker, where all newlines are LF or CRLF. */
const countLineFeeds = (text: string, end: number): number => {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) count += 1
  return count
}

/**
 * What the next quote in a quoted field is that is not written twice: the one that closes it, one that stands alone,
 * or not to be told yet. `at` is where it stands, or -1 where there is none.
 */
export const nextQuote = (text: string, from: number, delimiter: string): { at: number; kind: 'closing' | 'alone' | 'undecided' } => {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    if (text[at + 1] === '"') {
      at += 1
      continue
    }
    let next = at + 1
    while (next < text.length && text[next] !== delimiter && text[next] !== '\n' && text[next] !== '\r' && /\s/.test(text[next]!)) next += 1
    if (next === text.length) return { at, kind: 'undecided' }
    return { at, kind: text[next] === delimiter || text[next] === '\n' || text[next] === '\r' ? 'closing' : 'alone' }
  }
  return { at: -1, kind: 'undecided' }
}

const closingQuote = (text: string, from: number, delimiter: string): number => {
  let quote = nextQuote(text, from, delimiter)
  while (quote.kind === 'alone') quote = nextQuote(text, quote.at + 1, delimiter)
  return quote.at
}
