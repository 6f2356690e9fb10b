import { LIMITED_CHANGES, type FeedScope, type Limit } from '../rules/feedPolicy.ts'
import type { FeedDefinition } from './declaration.ts'
import type { FeedReport } from './feedReport.ts'

/**
 * A feed's declaration in words, a line each: what it is about, and what is declared. Pure.
 * @param when an instant as it is shown, in the feed's zone
 */
export function describeFeed(report: FeedReport, when: (instant: Date) => string): [what: string, value: string][] {
  const { definition, hostKey, nextSlots, allowance } = report
  const { server, contract } = definition
  return [
    ['server', `${server.username}@${server.host}:${server.port}, ${'password' in server.login ? `password from the secret ${server.login.password}` : `key from the secret ${server.login.key}`}`],
    ['key', hostKey === null ? 'not pinned: it does not run' : `${hostKey.fingerprint}, pinned by ${hostKey.by} at ${when(hostKey.at)}`],
    ['files', `${definition.pattern} in ${definition.folder === '.' ? "the login's own folder" : definition.folder}, ${READY[definition.readiness.kind](definition.readiness as never)}`],
    ['schedule', report.schedule ?? 'none: it runs when it is told to'],
    ...(nextSlots.length === 0 ? [] : [['next', nextSlots.map(when).join(', ')] as [string, string]]),
    ['takes', definition.mode === 'full' ? `full files: who is missing is deactivated, of ${scopeWords(definition.scope)}${definition.adopts ? '; whoever a file names becomes the feed’s own' : ''}` : 'files of changes: nobody is deactivated for not being in one'],
    ['mails', { none: 'none are owed', held: 'held until they are released', now: 'at once' }[definition.delivery]],
    ...(definition.mapping === null ? [] : [['mapping', definition.mapping] as [string, string]]),
    ['held above', LIMITED_CHANGES.map((change) => `${NAMES[change]} ${limitWords(definition.thresholds[change])}`).join(', ')],
    ['expected', [contract.missingAfterMinutes === null ? 'files come when they come' : `${contract.lateAfterMinutes === null ? '' : `late after ${contract.lateAfterMinutes} minutes, `}missing after ${contract.missingAfterMinutes} minutes`, ...bandWords(contract.rows), contract.columns === 'fixed' ? 'the same columns as last time' : 'whatever columns'].join(', ')],
    ['afterwards', [definition.acknowledge ? 'answers with FILE.ack.json and FILE.errors.csv' : 'answers nothing', definition.archive === null ? 'leaves the file where it is' : `moves the file to ${definition.archive}`].join(', ')],
    ...(definition.pgp === null ? [] : [['PGP', [definition.pgp.privateKey === null ? '' : 'decrypts', definition.pgp.senderKeys.length > 0 ? `wants a signature by one of ${definition.pgp.senderKeys.length}` : ''].filter(Boolean).join(', ')] as [string, string]]),
    ['tells', [definition.alerts.mails.length > 0 ? definition.alerts.mails.join(', ') : "the organization's operators", ...(definition.alerts.webhook === null ? [] : [definition.alerts.webhook.url])].join(', ')],
    ...(allowance === null ? [] : [['allowed once', `${Object.entries(allowance.limits).map(([change, most]) => `${most} ${change}`).join(', ')}, by ${allowance.by}${allowance.until === null ? '' : ` until ${when(new Date(allowance.until))}`}`] as [string, string]]),
  ]
}

type Readiness = FeedDefinition['readiness']
const READY: { [Kind in Readiness['kind']]: (readiness: Extract<Readiness, { kind: Kind }>) => string } = {
  rename: () => 'whole once they have their name',
  marker: ({ suffix, hash }) => `whole once FILE${suffix} lies beside them${hash ? ', with their SHA-256 in it' : ''}`,
  stable: ({ seconds }) => `whole once size and time stay the same for ${seconds} s`,
}

const NAMES = { creations: 'new', updates: 'changed', deactivations: 'deactivated', changedEmails: 'new addresses', reactivations: 'reactivated' } as const

function limitWords({ people, percent }: Limit): string {
  const words = [people === null ? '' : `${people}`, percent === null ? '' : `${percent} %`].filter(Boolean)
  return words.length === 0 ? 'without limit' : words.join(' or ')
}

function scopeWords(scope: FeedScope): string {
  switch (scope.kind) {
    case 'own':
      return 'those whom this feed brought'
    case 'customer':
      return `the customer ${scope.customer}`
    case 'group':
      return `the group ${scope.group}`
    case 'security':
      return `${scope.dimension} ${scope.group}`
    case 'attribute':
      return `those with ${scope.attribute} ${scope.value}`
    default:
      return scope satisfies never
  }
}

const bandWords = ({ least, most, changePercent }: FeedDefinition['contract']['rows']): string[] => [
  ...(least === null ? [] : [`at least ${least} rows`]), ...(most === null ? [] : [`at most ${most} rows`]), ...(changePercent === null ? [] : [`not ${changePercent} % more or fewer rows than last time`]),
]
