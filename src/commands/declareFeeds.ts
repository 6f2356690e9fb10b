import type { DeclareCommand, DeclaredOption } from './declareUsers.ts'
import * as decide from './decideFeed.ts'
import * as feed from './feed.ts'
import { limitOptions, type LimitFlags } from './readLimits.ts'
import { runOneFeed } from './runFeed.ts'
import { giveSecret, type SecretFlags } from './secret.ts'
import * as show from './showFeed.ts'
import { trustFeed, type TrustFlags } from './trustFeed.ts'

const organization: DeclaredOption = { flags: '--organization <key>', says: 'the organization; needed where several have a feed of this name' }
const yes: DeclaredOption = { flags: '--yes', says: 'go ahead without asking' }

/** Declares what is done with feeds (spec A5 to A7). */
export function declareFeeds(add: DeclareCommand): void {
  add('apply <file>', 'declares a feed, or changes one; says what changed, what is missing, and what its thresholds would have held', (context, [file]) => feed.applyOneFeed(context, file!), [])
  add<SecretFlags>('secret <name>', 'keeps a password or key that feeds name, sealed; read from a file or standard input, and never shown again', (context, [name], flags) => giveSecret(context, name!, flags), [
    { flags: '--organization <key>', says: 'the organization; required', needed: true },
    { flags: '--file <path>', says: 'where the value stands; standard input without it' },
  ])
  add<TrustFlags>('trust <name>', "fetches the key of a feed's server, shows it, asks, and pins it; without it a feed does not run", (context, [name], flags) => trustFeed(context, name!, flags), [
    organization,
    { flags: '--fingerprint <SHA256:…>', says: 'as the owner of the server tells it: pinned if the server shows this one, without asking' },
    yes,
  ])
  add<feed.FeedFlags>('run <name>', 'looks at the server at once, and follows it to its end', (context, [name], flags) => runOneFeed(context, name!, flags), [organization])
  add<feed.FeedFlags>('list', 'a line a feed: all is well, or what to do', (context, _, flags) => show.listAllFeeds(context, flags), [{ flags: '--organization <key>', says: 'of this organization only' }])
  add<feed.FeedFlags>('show <name>', 'a feed with everything; or, by the number of a held import, why it is held and whom it is about', (context, [name], flags) => show.showOneFeed(context, name!, flags), [organization])
  add<decide.ApproveFlags>('approve <what>', 'carries out what is held, by the number of its import; or with --once lets the next file of a feed go beyond its thresholds', (context, [what], flags) => decide.approveFeed(context, what!, flags), [
    { flags: '--plan <hash>', says: 'the plan that is approved, and no other' },
    { flags: '--once', says: 'of a feed, by name: the next file may go as far as these numbers' },
    ...limitOptions('count', (change) => `with --once: at most so many ${change}`),
    { flags: '--until <date>', says: 'with --once: not after this date in the feed\'s zone, such as "2026-12-01 08:00"' },
    { flags: '--withdraw', says: 'of a feed, by name: takes back what was allowed once' },
    organization,
    yes,
  ])
  add('reject <import>', 'gives up what is held; nothing of it is carried out', (context, [id]) => decide.rejectFeed(context, id!), [])
  add<feed.FeedFlags>('pause <name>', 'it runs only when it is told to', (context, [name], flags) => feed.pauseOneFeed(context, name!, flags), [organization])
  add<feed.FeedFlags>('resume <name>', 'it runs again, from its next slot on', (context, [name], flags) => feed.resumeOneFeed(context, name!, flags), [organization])
  add<feed.FeedFlags & LimitFlags>('replay <name>', 'what thresholds would have done to its last files; changes nothing', (context, [name], flags) => feed.replayFeed(context, name!, flags), [
    ...limitOptions('limit', (change) => `${change}: a number (25), a share (10%), both (25,10%), or none; as declared without it`),
    organization,
  ])
  add<feed.FeedFlags & { limit?: string }>('runs <name>', 'its runs, the latest first', (context, [name], flags) => show.listFeedRuns(context, name!, flags), [organization, { flags: '--limit <count>', says: 'how many; 20 without it' }])
}
