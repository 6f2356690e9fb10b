import { undoImport, type UndoReport } from '../jobs/undoImport.ts'
import { confirmed } from './confirm.ts'
import type { Context } from './context.ts'
import { findImport } from './find.ts'
import { count, dim, EXIT, inert, number, yellow, type ExitStatus } from './output.ts'
import { perform, rehearse } from './rehearse.ts'

/** `muster import undo ID`: shows what would be put back and what cannot, asks, and does it. Status 2 where somebody was left. */
export function undoOneImport(context: Context, id: string, flags: { yes?: boolean }): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const { organizationId } = await findImport(database, id)
    const document = (report: UndoReport, isConfirmed: boolean): Record<string, unknown> => ({ action: 'import.undo', confirmed: isConfirmed, undo: report })
    const preview = await rehearse(database, organizationId, (tx) => undoImport(tx, id, operator))
    const shown = lines(preview, false)
    for (const line of shown) out.say(line)
    if (!(await confirmed(context, flags.yes, `Undo import ${id}?`))) {
      if (out.json) out.data(document(preview, false))
      return EXIT.done
    }
    const done = await perform(database, organizationId, (tx) => undoImport(tx, id, operator))
    if (out.json) out.data(document(done, true))
    else {
      out.say(`Import ${id} is undone.`)
      if (JSON.stringify(lines(done, false)) !== JSON.stringify(shown)) {
        out.say('Somebody else was at work in between; this is what was done:')
        for (const line of lines(done, true)) out.say(line)
      }
    }
    return done.left.length > 0 ? EXIT.partly : EXIT.done
  })
}

/** So many of those who are left for a reason are named. */
const SHOWN_LEFT = 3

/** What an undoing comes to, for people: what is done, who is left alone and why, what to do next. */
function lines({ importId, feed, contacts, users, mails, usernames, seats, left, people }: UndoReport, done: boolean): string[] {
  const does = (many: number, what: string, past: string): string[] => (many === 0 ? [] : [`  ${what} ${done ? (many === 1 ? 'was' : 'were') : 'would be'} ${past}`])
  const body = [
    ...does(contacts.deleted, count(contacts.deleted, 'contact'), 'deleted'),
    ...does(contacts.putBack, count(contacts.putBack, 'contact'), `put back as before${contacts.activated > 0 ? `, ${count(contacts.activated, 'of them', 'of them')} active again` : ''}`),
    ...does(users.deleted, count(users.deleted, 'user'), `deleted; ${usernames.freed === 1 ? 'the name is' : 'the names are'} free again`),
    ...does(users.putBack, count(users.putBack, 'user'), `put back as before${users.activated > 0 ? `, ${count(users.activated, 'of them', 'of them')} active again` : ''}${users.deactivated > 0 ? `, ${count(users.deactivated, 'of them', 'of them')} deactivated again` : ''}${usernames.restored > 0 ? `, ${count(usernames.restored, 'with the username', 'with the usernames')} of before` : ''}`),
    ...does(mails.cancelled, count(mails.cancelled, 'mail that has', 'mails that have').concat(' not left'), 'cancelled'),
    ...does(mails.heldAgain, count(mails.heldAgain, 'mail'), 'held again'),
    ...does(mails.linksVoided, count(mails.linksVoided, 'open link'), 'void'),
    ...seats.map(({ license, count: freed }) => `  ${count(freed, 'seat')} of ${inert(license)} ${done ? (freed === 1 ? 'is' : 'are') : 'would be'} free again`),
  ]
  const named = (reason: string, all: number): string => {
    const names = people.filter((person) => person.reason === reason).slice(0, SHOWN_LEFT).map(({ username, name }) => username ?? name)
    return dim(inert(`(${names.join(', ')}${all > names.length ? ` and ${number(all - names.length)} more` : ''})`))
  }
  return [
    `Import ${importId}: ${body.length === 0 ? 'nothing of it can be put back.' : `what is undone of it${done ? '' : ', if you agree'}:`}`,
    ...body,
    ...(left.length > 0 ? ['Left alone, as they are now:'] : []),
    ...left.map(({ reason, message, count: all }) => `  ${number(all)}: ${message} ${named(reason, all)}`),
    ...(mails.lost > 0 ? [yellow(`${count(mails.lost, 'mail')} cancelled as people left ${mails.lost === 1 ? 'is' : 'are'} not owed again: ./muster users send`)] : []),
    ...(feed === null ? [] : [yellow(`The next file of the feed ${inert(feed.name)} brings the same changes again, unless it is mended or the feed is paused: ./muster feed pause ${inert(feed.name)}`)]),
  ]
}
