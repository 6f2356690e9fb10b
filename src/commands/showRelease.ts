import { LEFT_OUT } from '../deliveries/choose.ts'
import type { ReleaseLine } from '../deliveries/releasePlan.ts'
import type { Organization } from '../organizations/organizations.ts'
import { bold, count, dim, green, inert, number, red, yellow } from './output.ts'
import { showEnd, showMoment } from './releaseDate.ts'

/** A release as an operator reads it: its schedule, how far it is, who is left out and why, what to do next. */
export function showReleaseLines(release: ReleaseLine, { key, timeZone }: Organization): string[] {
  const { id, name, state, purpose, counts, rate, firstWave, restAfterMinutes, restReleasedAt, reason, reasons, leftOutBefore, actualRate, expectedAt } = release
  const sendAt = new Date(release.sendAt)
  const paced = [rate.own === null ? null : `${number(rate.own)} a minute`, rate.organization === null ? null : `the organization's ${number(rate.organization)} a minute`].filter((part) => part !== null)
  const sent = [
    `${number(counts.sent)} sent`, `${number(counts.failed)} failed`, `${number(counts.unknown)} unknown`, ...(counts.bounced > 0 ? [`${number(counts.bounced)} came back`] : []),
    `${number(counts.held)} held`, `${number(counts.waiting + counts.underWay)} waiting`, `${number(counts.leftOut)} left out`,
  ]
  return [
    `${bold(inert(name))}  ${dim(`release ${id} of ${key}, ${count(counts.total, 'mail')} (${purpose ?? 'mails'}), made by ${inert(release.createdBy)}`)}`,
    `  ${TONES[state](state)}${reason === null ? '' : `: ${inert(reason)}`}`,
    `  not before  ${showMoment(sendAt, timeZone)}`,
    ...(firstWave > 0 ? [`  first wave  ${number(firstWave)}; the rest ${restReleasedAt === null ? `${number(restAfterMinutes)} minutes later` : `was let go ${showMoment(new Date(restReleasedAt), timeZone)}`}`] : []),
    `  rate        ${paced.length === 0 ? 'none is set' : paced.join(', ')}${actualRate === null ? '' : `; ${number(actualRate)} a minute as it is`}`,
    `  mails       ${sent.join('   ')}`,
    ...Object.entries(reasons).map(([code, howMany]) => `              ${number(howMany)}: ${LEFT_OUT[code] ?? inert(code)}`),
    ...Object.entries(leftOutBefore).map(([code, howMany]) => `              ${number(howMany)} left out before: ${LEFT_OUT[code] ?? inert(code)}`),
    ...(expectedAt === null ? [] : [`  finishes    ${showEnd(new Date(expectedAt), timeZone, sendAt)}`]),
    ...nextOf(release),
  ]
}

const TONES = { scheduled: yellow, running: green, frozen: red, finished: green, cancelled: dim } as const

function nextOf({ id, state, counts }: ReleaseLine): string[] {
  const next: string[] = []
  if (state === 'scheduled') next.push(`./muster release move ${id} --at DATE`, `./muster release freeze ${id}`)
  if (state === 'running') next.push(`./muster release freeze ${id}`)
  if (state === 'frozen') next.push(`./muster release resume ${id}`, `./muster release cancel ${id}`)
  for (const trouble of ['failed', 'unknown', 'bounced'] as const) if (counts[trouble] > 0) next.push(`./muster deliveries list --release ${id} --state ${trouble}`)
  return next.length === 0 ? [] : [dim(`  next: ${next.join('   ')}`)]
}
