import { pinHostKey } from '../feeds/feeds.ts'
import { fetchHostKey } from '../feeds/server.ts'
import { confirmed } from './confirm.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { findFeed } from './findFeed.ts'
import { bold, EXIT, inert, red, type ExitStatus } from './output.ts'
import { showLocal } from './releaseDate.ts'

export type TrustFlags = { organization?: string; fingerprint?: string; yes?: boolean }

/**
 * `muster feed trust NAME [--fingerprint SHA256:…]`: fetches the key of the feed's server, shows it, asks, and pins it. With a fingerprint,
 * as the owner of the server told it, that one is pinned if the server shows it, and nothing otherwise.
 */
export function trustFeed(context: Context, name: string, flags: TrustFlags): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const { organizationId, organization, feed } = await findFeed(database, name, flags.organization)
    const { host, port } = feed.definition.server
    out.progress(`asking ${host}:${port} for its key`)
    const shown = await fetchHostKey({ host, port })
    out.settle()
    const before = feed.hostKey
    const document = (trusted: boolean): Record<string, unknown> => ({ organization, feed: name, server: { host, port }, shown, before, changed: before !== null && before !== shown, trusted })
    if (flags.fingerprint !== undefined && flags.fingerprint.replace(/=+$/, '') !== shown) {
      throw new CommandRefused('feed.other_host_key', `${host}:${port} shows ${shown}, which is not ${flags.fingerprint}. Nothing was pinned.`, 'Ask the owner of the server again, by telephone and not by answering a mail: somebody may stand in between.')
    }
    if (before === shown) {
      if (out.json) out.data(document(true))
      else out.say(`${host}:${port} shows the key that is pinned: ${shown}. Nothing was changed.`)
      return EXIT.done
    }
    if (before !== null) {
      out.say(red(bold('THE KEY OF THE SERVER HAS CHANGED.')))
      out.say(`  pinned  ${before}`)
      out.say(`  shown   ${shown}`)
      out.say('Either its owner gave it a new one, or something else answers in its place. Ask the owner, by telephone and not by answering a mail.')
    } else {
      out.say(`${host}:${port} shows this key:`)
      out.say(`  ${bold(shown)}`)
      out.say('Compare it with what the owner of the server says; there, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" shows it.')
    }
    if (!(await confirmed(context, (flags.yes ?? false) || flags.fingerprint !== undefined, before === null ? 'Pin this key?' : 'Pin the NEW key?'))) {
      if (out.json) out.data(document(false))
      return EXIT.done
    }
    const pinned = await database.tenant(organizationId, (tx) => pinHostKey(tx, feed.id, shown, operator))
    if (out.json) out.data(document(true))
    else {
      out.say(`Pinned. ${inert(name)} connects to a server with this key only.${pinned.nextSlotAt === null ? '' : ` It runs next at ${showLocal(pinned.nextSlotAt, pinned.timeZone)}.`}`)
      out.say(`  ./muster feed run ${inert(name)} --organization ${organization}   looks at once`)
    }
    return EXIT.done
  })
}
