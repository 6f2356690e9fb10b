import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as states from '../../src/entities/states.ts'
import type { Lifecycle } from '../../src/entities/states.ts'
import { lineAt, readSources, repositoryFiles } from '../support/sources.ts'

/** Every lifecycle of states.ts by its heading in the document: IMPORT_LIFECYCLE is drawn under "Import". */
const LIFECYCLES = Object.entries(states).flatMap(([name, table]): [string, Lifecycle<string>][] => {
  if (!name.endsWith('_LIFECYCLE')) return []
  const words = name.slice(0, -'_LIFECYCLE'.length).toLowerCase().replaceAll('_', ' ')
  return [[words.charAt(0).toUpperCase() + words.slice(1), table as Lifecycle<string>]]
})

type Arrow = { from: string; to: string; name: string }

const document = readFileSync(new URL('../../docs/lifecycles.md', import.meta.url), 'utf8')

/** The arrows drawn under a heading; null where there is no drawing. */
function drawn(heading: string): Arrow[] | null {
  const block = new RegExp(`^## ${heading}\\n[^#]*?\`\`\`mermaid\\nstateDiagram-v2\\n([\\s\\S]*?)\`\`\``, 'm').exec(document)
  if (!block) return null
  return block[1]!
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const arrow = /^ {2}(\S+) --> (\w+|\[\*\])(?:: (\w+))?$/.exec(line)
      if (!arrow) throw new Error(`not an arrow: ${line}`)
      return { from: arrow[1]!, to: arrow[2]!, name: arrow[3] ?? '' }
    })
}

/** What a table of states.ts says, as arrows. */
const tabled = (table: Lifecycle<string>): Arrow[] => [
  ...table.initial.map((to) => ({ from: '[*]', to, name: '' })),
  ...Object.entries(table.transitions).flatMap(([name, { from, to }]) => from.map((state) => ({ from: state, to, name }))),
  ...table.terminal.map((from) => ({ from, to: '[*]', name: '' })),
]

const said = ({ from, to, name }: Arrow): string => `${from} --> ${to}${name === '' ? '' : `: ${name}`}`

describe('docs/lifecycles.md', () => {
  test('draws every lifecycle, and none besides', () => {
    expect([...document.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading).toSorted()).toEqual(LIFECYCLES.map(([heading]) => heading).toSorted())
  })

  test.each(LIFECYCLES)('%s: the drawing and the table say the same', (heading, table) => {
    expect(drawn(heading)?.map(said).toSorted(), 'states.ts is the truth: draw what it says.').toEqual(tabled(table).map(said).toSorted())
  })
})

describe('a lifecycle', () => {
  test.each(LIFECYCLES)('%s: every state is reached from a beginning, and can come to rest', (_, { states: all, initial, terminal, transitions }) => {
    const steps = Object.values(transitions).flatMap(({ from, to }) => from.map((state): [string, string] => [state, to]))
    for (const [from, to] of steps) expect(all).toEqual(expect.arrayContaining([from, to]))
    const reach = (from: readonly string[], next: (state: string) => string[]): Set<string> => {
      const reached = new Set(from)
      for (const state of reached) for (const other of next(state)) reached.add(other)
      return reached
    }
    const forward = reach(initial, (state) => steps.filter(([from]) => from === state).map(([, to]) => to))
    expect([...forward].toSorted()).toEqual([...all].toSorted())
    if (terminal.length === 0) return
    const backward = reach(terminal, (state) => steps.filter(([, to]) => to === state).map(([from]) => from))
    expect([...backward].toSorted()).toEqual([...all].toSorted())
  })
})

describe('a statement that writes a state', () => {
  const LIFECYCLE_OF: Record<string, Lifecycle<string>> = {
    imports: states.IMPORT_LIFECYCLE,
    import_chunks: states.CHUNK_LIFECYCLE,
    contacts: states.ACTIVITY_LIFECYCLE,
    users: states.ACTIVITY_LIFECYCLE,
    deliveries: states.DELIVERY_LIFECYCLE,
    invitations: states.INVITATION_LIFECYCLE,
    releases: states.RELEASE_LIFECYCLE,
    feeds: states.FEED_LIFECYCLE,
    feed_runs: states.FEED_RUN_LIFECYCLE,
    feed_files: states.FEED_FILE_LIFECYCLE,
    feed_alerts: states.FEED_ALERT_LIFECYCLE,
    webhook_events: states.WEBHOOK_LIFECYCLE,
    identity_decisions: states.IDENTITY_DECISION_LIFECYCLE,
  }
  const FEEDS = ['feed_runs', 'feed_files', 'feed_alerts', 'webhook_events', 'identity_decisions']
  const words = (text: string): string[] => [...text.matchAll(/'(\w+)'/g)].map(([, word]) => word!)

  type Written = { place: string; table: string; to: string[]; from: string[] }
  const texts = readSources(repositoryFiles().filter((path) => path.startsWith('src/') && !path.includes('/migrations/'))).flatMap((file) =>
    [...file.text.matchAll(/`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\\n])*'/g)].map((match) => ({ place: `${file.path}:${lineAt(file.text, match.index)}`, text: match[0].slice(1, -1) })),
  )
  const updates = texts.flatMap(({ place, text }) =>
    [...text.matchAll(/\bupdate (\w+)(?: \w)? set\b([\s\S]*?)(?=\bupdate \w+ (?:\w )?set\b|$)/g)].flatMap(([, table, rest]): Written[] => {
      const written = /(?:^|[\s,])state = (?:'(\w+)'|case\b([\s\S]*?)\bend\b)/.exec(rest!)
      const beforeWhere = rest!.search(/\swhere\s|\sfrom\s/)
      if (!written || !Object.hasOwn(LIFECYCLE_OF, table!) || (beforeWhere >= 0 && written.index > beforeWhere)) return []
      const to = written[1] === undefined ? [...written[2]!.matchAll(/\b(?:then|else) '(\w+)'/g)].map(([, word]) => word!) : [written[1]]
      const others = text.replace(written[0], '')
      const from = [...others.matchAll(/\bstate (?:= ('\w+')|in \(([^)]*)\))/g)].flatMap(([, one, list]) => words(one ?? list!))
      return [{ place, table: table!, to, from: from.filter((state) => LIFECYCLE_OF[table!]!.states.includes(state)) }]
    }),
  )
  const inserts = texts.flatMap(({ place, text }) =>
    [...text.matchAll(/\binsert into (\w+) \(([^)]*\bstate\b[^)]*)\)([\s\S]*?)(?=\bon conflict\b|\binsert into\b|$)/g)].flatMap(([, table, , rest]) =>
      Object.hasOwn(LIFECYCLE_OF, table!) ? [{ place, table: table!, words: words(rest!.replaceAll(/\bstate = '\w+'|\bstate in \([^)]*\)/g, '')) }] : [],
    ),
  )

  test('is found at all', () => {
    expect(new Set(updates.map(({ table }) => table))).toEqual(new Set(['imports', 'import_chunks', 'contacts', 'users', 'deliveries', 'invitations', 'releases', ...FEEDS]))
    // What state a feed goes into is read from its table.
    expect(new Set(inserts.map(({ table }) => table))).toEqual(new Set(['imports', 'import_chunks', 'deliveries', 'invitations', 'releases', 'feeds', ...FEEDS]))
  })

  test('makes a transition of its table', () => {
    const offences = updates.flatMap(({ place, table, to, from }) => {
      const transitions = Object.values(LIFECYCLE_OF[table]!.transitions)
      return to
        .filter((state) => !transitions.some((transition) => transition.to === state && (from.length === 0 || from.some((before) => transition.from.includes(before)))))
        .map((state) => `${place} ${table}: ${from.join(' or ') || 'any state'} -> ${state}`)
    })
    expect(offences, 'Name the transition in states.ts and draw it in docs/lifecycles.md, or write another state.').toEqual([])
  })

  test('that says one state only, may say it of all that it starts from', () => {
    const offences = updates
      .filter(({ to }) => to.length === 1)
      .flatMap(({ place, table, to, from }) =>
        from
          .filter((before) => before !== to[0] && !Object.values(LIFECYCLE_OF[table]!.transitions).some((transition) => transition.to === to[0] && transition.from.includes(before)))
          .map((before) => `${place} ${table}: ${before} -> ${to[0]}`),
      )
    expect(offences, 'Name the transition in states.ts and draw it in docs/lifecycles.md, or leave that state out of the condition.').toEqual([])
  })

  test('begins something in a state that it may begin in', () => {
    const offences = inserts.flatMap(({ place, table, words: found }) =>
      found.filter((word) => LIFECYCLE_OF[table]!.states.includes(word) && !LIFECYCLE_OF[table]!.initial.includes(word)).map((word) => `${place} ${table} begins as ${word}`),
    )
    expect(offences, 'Name the beginning in states.ts and draw it in docs/lifecycles.md, or begin elsewhere.').toEqual([])
  })
})
