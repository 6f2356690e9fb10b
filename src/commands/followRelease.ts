import { setTimeout as sleep } from 'node:timers/promises'
import { readSmtpPause } from '../deliveries/pause.ts'
import { showRelease, type ReleaseLine } from '../deliveries/releasePlan.ts'
import type { Installation } from './installation.ts'
import { dim, inert, number, type Output } from './output.ts'
import { showEnd } from './releaseDate.ts'
import { readOrganization } from '../organizations/organizations.ts'

const LOOK_MS = 500

/**
 * Follows a release, and says how far it is: until it has ended, is frozen, or nothing of it is left that leaves by itself; or, with `whileDue`,
 * only until what is due has left. Ends with a remark, too, where something is due and the mail server refuses our login: that takes a person.
 */
export async function followRelease({ database }: Pick<Installation, 'database'>, organizationId: string, id: string, out: Output, { whileDue = false } = {}): Promise<ReleaseLine> {
  const { timeZone } = await database.tenant(organizationId, readOrganization)
  for (;;) {
    const release = await database.tenant(organizationId, (tx) => showRelease(tx, id))
    const due = release.counts.due + release.counts.underWay
    if (!isOpen(release) || (whileDue && due === 0)) return release
    const pause = due > 0 ? await readSmtpPause(database) : null
    if (pause !== null) {
      out.remark(`All mail is paused, for the mail server refuses our login: ${inert(pause.reason)}`)
      out.remark(`  It is tried again by itself at ${pause.retryAt.toISOString()}, and the mails leave then. ./muster doctor says more; ./muster release show ${id} --follow goes on watching.`)
      return release
    }
    out.progress(describe(release, timeZone))
    await sleep(LOOK_MS)
  }
}

/** Whether anything of it will still leave by itself. */
function isOpen({ state, counts, reasons }: ReleaseLine): boolean {
  if (state !== 'scheduled' && state !== 'running') return false
  return counts.waiting + counts.underWay + (reasons['first_wave'] ?? 0) > 0
}

function describe({ state, counts, actualRate, expectedAt, sendAt }: ReleaseLine, zone: string): string {
  const trouble = counts.failed + counts.bounced + counts.unknown
  const done = counts.sent + counts.failed + counts.unknown + counts.leftOut
  const parts = [
    `${bar(done / Math.max(1, counts.total))} ${number(counts.sent)} of ${number(counts.total)} sent`,
    ...(trouble > 0 ? [`${number(trouble)} in trouble`] : []),
    ...(counts.leftOut > 0 ? [`${number(counts.leftOut)} left out`] : []),
    ...(actualRate === null ? [] : [dim(`${number(actualRate)} a minute`)]),
    ...(expectedAt === null ? [] : [`finishes at ${showEnd(new Date(expectedAt), zone, new Date(sendAt))}`]),
  ]
  return state === 'scheduled' && counts.sent === 0 ? `waiting for ${showEnd(new Date(sendAt), zone, new Date())}: ${number(counts.total)} mails` : parts.join(', ')
}

function bar(part: number): string {
  const full = Math.min(20, Math.round(part * 20))
  return '█'.repeat(full) + '░'.repeat(20 - full)
}
