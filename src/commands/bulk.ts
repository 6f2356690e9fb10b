import { LEFT_OUT_OF_CHANGE, SETTLED } from '../accounts/lockUsers.ts'
import { nameUsers, selectContacts, selectUsers, type Named } from '../accounts/selectUsers.ts'
import { LEFT_OUT } from '../deliveries/choose.ts'
import type { Transaction } from '../entities/database.ts'
import { readOrganization, organizationId, type Organization } from '../organizations/organizations.ts'
import { confirmed, countLeftOut, nameLeftOut, namePeople, SHOWN_PEOPLE } from './confirm.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import type { Installation } from './installation.ts'
import { EXIT, type ExitStatus } from './output.ts'
import { nameUnknown, readSelection, type SelectionFlags } from './readSelection.ts'
import { perform, rehearse } from './rehearse.ts'

export type BulkFlags = SelectionFlags & { yes?: boolean }

/** Every reason to leave somebody out, in words. */
export const WHY_LEFT_OUT: Readonly<Record<string, string>> = { ...LEFT_OUT, ...LEFT_OUT_OF_CHANGE }

/** What a change of many comes to, for people and for scripts. */
export type Told = {
  /** Users it changes, or makes. */
  userIds: readonly string[]
  /** "12 users would be deactivated", "12 users were deactivated". */
  headline: string
  /** What comes along with it. */
  lines: string[]
  document: Record<string, unknown>
  leftOut: readonly { username: string; reason: string }[]
  /** Of `userIds` those that the work itself makes: in a rehearsal they get ids that nobody will ever have. */
  made?: readonly string[]
  /** Not all was done that was asked, beside who was left out. */
  partly?: boolean
  /** The command that is confirmed: "Deactivate 12 users?" */
  question: string
}

/** A change of many: its one piece of work is rehearsed, shown, confirmed, and then done. */
export type BulkAction<Result> = {
  /** Such as users.deactivate. */
  name: string
  of: 'users' | 'contacts'
  /** Looks at the command line before anybody is chosen. */
  prepare?(installation: Installation, organization: Organization): Promise<void>
  work(tx: Transaction, ids: readonly string[], operator: string, organization: Organization): Promise<Result>
  tell(result: Result, done: boolean, organization: Organization): Told
  /** After it was done; gives what is known then and did not go well. */
  after?(installation: Installation, organization: Organization, result: Result): Promise<{ document: Record<string, unknown>; lines: string[]; partly: boolean }>
}

/**
 * Runs a change of many (spec C9): shows how many and whom, who is left out and why, asks, does it, and tells what was done.
 * Status 2 where somebody was left out who is not as was asked, or a line named nobody.
 */
export async function bulk<Result>(context: Context, flags: BulkFlags, action: BulkAction<Result>): Promise<ExitStatus> {
  const selection = await readSelection(flags)
  return context.with(async (installation) => {
    const { database, operator } = installation
    const { out } = context
    const id = await organizationId(database, flags.organization)
    const organization = await database.tenant(id, readOrganization)
    await action.prepare?.(installation, organization)
    const { ids, unknown } = await database.tenant(id, async (tx) => {
      if (action.of === 'users') {
        const { userIds, unknown: lines } = await selectUsers(tx, selection)
        return { ids: userIds, unknown: lines }
      }
      const { contactIds, unknown: lines } = await selectContacts(tx, selection)
      return { ids: contactIds, unknown: lines }
    })
    if (ids.length === 0) throw new CommandRefused('users.nobody', `No ${action.of === 'users' ? 'user' : 'contact'} of ${organization.key} is meant by this.${unknown.length > 0 ? ` ${nameUnknown(unknown).join('')}` : ''}`, `./muster ${action.of} list --organization ${organization.key} --filter … shows who fits.`)

    const run = async (tx: Transaction, done: boolean): Promise<{ result: Result; told: Told; people: Named[] }> => {
      const result = await action.work(tx, ids, operator, organization)
      const told = action.tell(result, done, organization)
      return { result, told, people: await nameUsers(tx, told.userIds, SHOWN_PEOPLE) }
    }
    const document = ({ told, people }: { told: Told; people: Named[] }, isConfirmed: boolean, more: Record<string, unknown> = {}): Record<string, unknown> => {
      const made = new Set(isConfirmed ? [] : told.made)
      return {
        action: action.name, organization: organization.key, confirmed: isConfirmed, selected: ids.length, changed: told.userIds.length, ...told.document,
        people: people.map((person) => (made.has(person.id) ? { ...person, id: null } : person)), leftOut: countLeftOut(told.leftOut, WHY_LEFT_OUT), unknown, ...more,
      }
    }
    const lacking = ({ leftOut, partly = false }: Told): boolean => partly || unknown.length > 0 || leftOut.some(({ reason }) => !SETTLED.includes(reason))

    const preview = await rehearse(database, id, (tx) => run(tx, false))
    const shown = shownLines(preview.told, preview.people, unknown)
    for (const line of shown) out.say(line)
    if (preview.told.userIds.length === 0 && preview.told.lines.length === 0) {
      out.say('Nothing was changed: there is nothing to do.')
      if (out.json) out.data(document(preview, false))
      return lacking(preview.told) ? EXIT.partly : EXIT.done
    }
    if (!(await confirmed(context, flags.yes, preview.told.question))) {
      if (out.json) out.data(document(preview, false))
      return EXIT.done
    }
    const done = await perform(database, id, (tx) => run(tx, true))
    const after = await action.after?.(installation, organization, done.result)
    if (out.json) out.data(document(done, true, after?.document))
    else {
      out.say(`${done.told.headline}.`)
      const asShown = shownLines(action.tell(done.result, false, organization), done.people, unknown)
      if (JSON.stringify(asShown) !== JSON.stringify(shown)) {
        out.say('Somebody else was at work in between; this is what was done:')
        for (const line of shownLines(done.told, done.people, unknown).slice(1)) out.say(line)
      }
      for (const line of after?.lines ?? []) out.say(line)
    }
    return lacking(done.told) || after?.partly ? EXIT.partly : EXIT.done
  })
}

function shownLines({ headline, lines, leftOut, userIds }: Told, people: readonly Named[], unknown: readonly string[]): string[] {
  return [userIds.length > 0 ? `${headline}:` : `${headline}.`, ...namePeople(people, userIds.length), ...lines, ...nameLeftOut(leftOut, WHY_LEFT_OUT), ...nameUnknown(unknown)]
}
