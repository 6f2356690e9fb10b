import { reportFeeds } from '../feeds/feedReport.ts'
import { secretsOf } from '../feeds/knownNames.ts'
import { listSecrets } from '../feeds/secrets.ts'
import type { Finding } from './finding.ts'
import type { Installation } from './installation.ts'

/** What is to be said of an organization's feeds: those that do not run, that wait for a person, that an alert is about, and secrets that do not open. */
export async function examineFeeds({ database, secrets }: Pick<Installation, 'database' | 'secrets'>, organizationId: string, key: string): Promise<Finding[]> {
  const { reports, known } = await database.tenant(organizationId, async (tx) => ({ reports: await reportFeeds(tx), known: await listSecrets(tx, secrets) }))
  const findings: Finding[] = []
  const attention = (message: string, hint: string, state: Finding['state'] = 'attention'): void => void findings.push({ part: key, state, message, hint })
  for (const { name } of known.filter((secret) => secret.sealedWith === 'neither')) {
    const users = reports.filter(({ definition }) => secretsOf(definition).some((named) => named.name === name)).map((report) => report.name)
    attention(`the secret ${name} cannot be opened: MUSTER_SECRET is another one than when it was sealed${users.length === 0 ? '' : `; ${users.join(', ')} cannot run`}`, `Set MUSTER_SECRET_PREVIOUS to what it was, then ./muster secret reseal; or give it anew: ./muster feed secret ${name} --organization ${key}`, 'failed')
  }
  const old = known.filter(({ sealedWith }) => sealedWith === 'previous').length
  if (old > 0) attention(`${old === 1 ? 'a secret is' : `${old} secrets are`} still sealed with MUSTER_SECRET_PREVIOUS`, './muster secret reseal')
  let calm = 0
  for (const { name, missingSecrets, hostKey, held, alerts, condition } of reports) {
    const before = findings.length
    for (const secret of missingSecrets) attention(`feed ${name} does not run: the secret ${secret} is missing`, `./muster feed secret ${secret} --organization ${key}`)
    if (hostKey === null) attention(`feed ${name} does not run: the server's key is not pinned`, `./muster feed trust ${name} --organization ${key}`)
    if (held) attention(`feed ${name}: ${condition.text}`, `./muster feed show ${held.importId}, then ./muster feed approve ${held.importId} or ./muster feed reject ${held.importId}`)
    for (const { kind, title, subject, whatToDo } of alerts.filter((alert) => alert.kind !== 'held')) {
      attention(`feed ${name}: ${title.charAt(0).toLowerCase()}${title.slice(1)}${subject === '' || kind === 'late' || kind === 'missing' ? '' : ` (${subject})`}`, whatToDo.map(({ says, command }) => (command === null ? says : `${says}: ${command}`)).join('; '))
    }
    if (findings.length === before) calm++
  }
  if (reports.length > 0 && calm === reports.length) findings.push({ part: key, state: 'well', message: `${reports.length === 1 ? 'its feed' : `its ${reports.length} feeds`}: nothing to do`, hint: null })
  return findings
}
