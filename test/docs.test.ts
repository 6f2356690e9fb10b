import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CommanderError } from 'commander'
import { commandNames, commandOf } from '../src/commands/program.ts'

const checkout = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(checkout, path), 'utf8')

/** Every Markdown file that people read, by its path in the checkout. */
const documents = ['.', 'docs', 'fixtures', 'bench'].flatMap((folder) =>
  readdirSync(join(checkout, folder), { recursive: folder !== '.', withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(checkout, join(entry.parentPath, entry.name))),
)

const FENCE = /^```[^\n]*\n([\s\S]*?)^```/gm

describe.each(documents)('%s', (document) => {
  const text = read(document)

  test('links and pictures lead to something that is there', () => {
    const prose = text.replaceAll(FENCE, '').replaceAll(/`[^`\n]*`/g, '')
    const targets = [...prose.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(([, markdown, html]) => (markdown ?? html)!)
    const broken = targets.filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(document, target))
    expect(broken).toEqual([])
  })
})

/** Whether a relative link's file is there and, where it names a heading of a document, the heading too. */
function leadsSomewhere(document: string, target: string): boolean {
  const [path, heading] = target.split('#') as [string, string?]
  const file = path === '' ? document : join(dirname(document), path)
  if (!existsSync(join(checkout, file))) return false
  if (heading === undefined || !file.endsWith('.md')) return true
  return [...read(file).matchAll(/^#+ (.+)$/gm)].some(([, title]) => slug(title!) === heading)
}

/** A heading's anchor, as code hosts make it. */
const slug = (title: string): string => title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')

/** The command lines that documents show, from code blocks and from code within sentences. */
const commandLines = documents.flatMap((document) => {
  const text = read(document)
  const blocks = [...text.matchAll(FENCE)].flatMap(([, code]) => code!.split('\n'))
  const spans = [...text.replaceAll(FENCE, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
  return [...blocks, ...spans].flatMap((line) => {
    const found = /^\s*(?:\$ )?\.\/muster ([^#|>…]+)/.exec(line)
    // What the program prints behind a command that it proposes stands two spaces or a comma away.
    return found ? [{ document, line: found[1]!.split(/ {2,}|, /)[0]!.trim() }] : []
  })
})

/** A command line's words, as a shell would part them. */
const wordsOf = (line: string): string[] => [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare!)

const argvOf = (line: string): string[] => ['node', 'muster.ts', ...wordsOf(line)]

describe('the commands that the documents show', () => {
  // What commander says of a wrong line, and the help that it prints, are not the test's to print.
  beforeEach(() => {
    vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test.each(commandLines)('$document: ./muster $line', async ({ line }) => {
    const refusal = await commandOf(argvOf(line)).then(
      () => null,
      (error: unknown) => error,
    )
    // Help ends the reading of a line as an error with status 0.
    expect(refusal === null || (refusal instanceof CommanderError && refusal.exitCode === 0)).toBe(true)
  })

  test('are all that there are: the README shows each one', async () => {
    const shown = await Promise.all(commandLines.filter(({ document }) => document === 'README.md').map(({ line }) => commandOf(argvOf(line)).catch(() => null)))
    expect(commandNames().filter((name) => !shown.includes(name))).toEqual([])
  })

  test('a command that the program does not have would be found', async () => {
    await expect(commandOf(argvOf('organization abolish KEY'))).rejects.toThrow(CommanderError)
  })
})

describe('the settings', () => {
  const FOR_TESTS = ['MUSTER_FAILPOINT', 'NODE_ENV']
  const known = [...read('src/config.ts').matchAll(/^ {4}([A-Z_]+): /gm)].map(([, name]) => name!)
  const given = known.filter((name) => !FOR_TESTS.includes(name)).toSorted()
  const tabled = (document: string): string[] => [...read(document).matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name!).toSorted()

  test('src/config.ts has some', () => {
    expect(known).toEqual(expect.arrayContaining(['DATABASE_URL', 'LOG_LEVEL', ...FOR_TESTS]))
  })

  test.each(['README.md', 'docs/operations.md'])('%s lists those that src/config.ts reads, and no others', (document) => {
    expect(tabled(document)).toEqual(given)
  })

  test('docs/operations.md tells of those for tests', () => {
    expect(FOR_TESTS.filter((name) => !read('docs/operations.md').includes(name))).toEqual([])
  })
})

describe('docs/architecture.md', () => {
  const text = read('docs/architecture.md')
  const rooms = readdirSync(join(checkout, 'src'), { withFileTypes: true })

  test('names files and folders that are there', () => {
    const named = [...text.matchAll(/`((?:src|test|docs|bench|fixtures|\.ci)\/[\w./-]*|[\w-]+\.(?:ts|mjs|json|yaml))`/g)].map(([, path]) => path!)
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((path) => !existsSync(join(checkout, path)))).toEqual([])
  })

  test.each(rooms.map((entry) => `src/${entry.name}${entry.isDirectory() ? '/' : ''}`))('tells what %s is for', (room) => {
    expect(text).toContain(`\`${room}`)
  })
})

test('docs/operations.md names every place where a test may end the process, and no other', () => {
  const sources = readdirSync(join(checkout, 'src'), { recursive: true, withFileTypes: true }).filter((entry) => entry.name.endsWith('.ts')).map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
  const places = new Set(sources.flatMap((source) => [...source.matchAll(/failpoint\('([a-zA-Z_.]+)'\)/g)].map(([, name]) => name!)))
  const [paragraph = ''] = /^.*`MUSTER_FAILPOINT` names[\s\S]*?\n\n/m.exec(read('docs/operations.md')) ?? []
  const documented = [...paragraph.matchAll(/`([a-z]+\.[a-zA-Z_]+)`/g)].map(([, name]) => name!)
  expect([...new Set(documented)].toSorted()).toEqual([...places].toSorted())
})
