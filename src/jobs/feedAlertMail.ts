import { instants } from '../accounts/composeMail.ts'
import type { Claimed, Composers } from '../deliveries/compose.ts'
import type { Database } from '../entities/database.ts'
import { FEED_ALERT_KINDS } from '../entities/states.ts'
import { readAlert } from '../feeds/alerts.ts'
import { explainAlert, type StoredAlert } from '../feeds/alertText.ts'

/** The mails that tell a feed's people what is wrong with it, and that it is over (spec A7). */
export function feedAlertMails(database: Database, consoleUrl: string): Required<Pick<Composers, 'feedAlert' | 'feedAllClear'>> {
  const show = instants()
  const about = ({ organization }: Claimed, alert: StoredAlert) => ({
    organization: organization.name,
    feed: alert.feed,
    fileName: fileOf(alert),
    consoleUrl: `${consoleUrl}/feeds/${alert.feedId}`,
    raisedAt: show(alert.raisedAt, organization.language, organization.timeZone),
    message: explainAlert(alert).message,
    ...(Object.fromEntries(FEED_ALERT_KINDS.map((kind) => [kind, kind === alert.kind])) as Record<StoredAlert['kind'], boolean>),
  })
  return {
    feedAlert: {
      async compose(claimed) {
        const alert = await alertOf(database, claimed)
        return { secret: null, sealed: null, variables: { ...about(claimed, alert), importId: alert.importId, steps: explainAlert(alert).whatToDo } }
      },
    },
    feedAllClear: {
      async compose(claimed) {
        const alert = await alertOf(database, claimed)
        const { language, timeZone } = claimed.organization
        return { secret: null, sealed: null, variables: { ...about(claimed, alert), allClear: explainAlert(alert).allClear, clearedAt: show(alert.clearedAt ?? claimed.claimedAt, language, timeZone) } }
      },
    },
  }
}

async function alertOf(database: Database, { organization, feedAlertId }: Claimed): Promise<StoredAlert> {
  const alert = feedAlertId === null ? null : await database.tenant(organization.id, (tx) => readAlert(tx, feedAlertId))
  if (!alert) throw new Error('the alert it tells of is gone')
  return alert
}

const fileOf = ({ detail }: StoredAlert): string | null => (Object.hasOwn(detail, 'file') ? String(detail['file']) : null)
