import { readOrganization } from '../organizations/organizations.ts'
import { explainIssue } from '../rules/catalog.ts'
import { parseDeliveryWish, type DeliveryWish } from '../rules/deliveryWish.ts'
import { CommandRefused } from './find.ts'
import type { Installation } from './installation.ts'

/** Reads when mails may go, from `flag`; a date is a wall time in the organization's zone, and is judged by the database's clock. */
export async function readWish({ database }: Installation, organization: string, text: string | undefined, flag: '--delivery' | '--at'): Promise<DeliveryWish> {
  if (text === undefined) return { kind: 'held' }
  const { timeZone } = await database.tenant(organization, readOrganization)
  const now = Temporal.Instant.fromEpochMilliseconds((await database.now()).getTime())
  let problem = ''
  const wish = parseDeliveryWish(text, { zone: timeZone, now }, (code, detail) => {
    problem = explainIssue(code, { column: flag, value: text, ...detail }).message
  })
  if (!wish) throw new CommandRefused('usage.delivery', `${flag}: ${problem}`, `Write ${flag === '--delivery' ? 'none, now, or ' : ''}a date to come, such as "2026-12-01 08:00".`)
  return wish
}
