import type { Context } from './context.ts'
import type { DeclareCommand } from './declareUsers.ts'
import { decideOnIdentity, listIdentity } from './identity.ts'

/** Declares what a person decides about who somebody is (spec B4). */
export function declareIdentity(add: DeclareCommand): void {
  add<{ organization: string; declined?: boolean }>('list', 'what files say of people and somebody has to decide: both sides', (context: Context, _, flags) => listIdentity(context, flags), [
    { flags: '--organization <key>', says: 'the organization; required', needed: true },
    { flags: '--declined', says: 'what was declined instead' },
  ])
  add('accept <ids...>', 'the file is right: the new address is entered, or the person is active again', (context, ids) => decideOnIdentity(context, ids, 'accept'), [])
  add('reject <ids...>', 'the file is wrong: nobody is changed, and the same file does not ask again', (context, ids) => decideOnIdentity(context, ids, 'reject'), [])
}
