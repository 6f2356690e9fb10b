import { setTimeout as pause } from 'node:timers/promises'
import { DELIVERY_PURPOSES, DELIVERY_STATES, type DeliveryPurpose, type DeliveryState } from '../entities/states.ts'
import { listDeliveries, showDelivery, type DeliveryLine } from '../deliveries/list.ts'
import { releaseHeld, resolve, retry } from '../deliveries/release.ts'
import { unknownRelease } from '../deliveries/releases.ts'
import { listOrganizations, organizationId, organizationOfRelease } from '../organizations/organizations.ts'
import { ensureWorker, type Context } from './context.ts'
import { CommandRefused, findImport, findOrganizationOfDelivery } from './find.ts'
import { followDeliveries } from './followImport.ts'
import { readWish } from './readWish.ts'
import { count, dim, EXIT, inert, table, type ExitStatus } from './output.ts'

export type DeliveryFlags = { organization?: string; state?: string; purpose?: string; import?: string; release?: string; limit?: number }

const SHOWN = 100
const PAGE = 2_000

/** `muster deliveries list` */
export function listDeliveryLines(context: Context, flags: DeliveryFlags): Promise<ExitStatus> {
  const state = oneOf<DeliveryState>(flags.state, DELIVERY_STATES, '--state')
  const purpose = oneOf<DeliveryPurpose>(flags.purpose, DELIVERY_PURPOSES, '--purpose')
  if (flags.import !== undefined && !/^\d{1,18}$/.test(flags.import)) throw new CommandRefused('import.unknown', `There is no import ${JSON.stringify(flags.import)}.`)
  return context.with(async ({ database }) => {
    const { out } = context
    const owner = flags.release === undefined ? null : /^\d{1,18}$/.test(flags.release) ? await organizationOfRelease(database, flags.release) : null
    if (flags.release !== undefined && owner === null) throw unknownRelease(flags.release)
    const asked = flags.organization ? await organizationId(database, flags.organization) : null
    const organizations = owner !== null ? (asked === null || asked === owner ? [{ id: owner }] : []) : asked !== null ? [{ id: asked }] : await listOrganizations(database)
    let left = flags.limit ?? (out.json ? Number.POSITIVE_INFINITY : SHOWN)
    const shown: DeliveryLine[] = []
    for (const { id } of organizations) {
      for (let after: string | undefined; left > 0; ) {
        const lines = await database.tenant(id, (tx) => listDeliveries(tx, { state, purpose, importId: flags.import, releaseId: flags.release, limit: Math.min(PAGE, left), after }))
        for (const line of lines) {
          if (out.json) out.data(line)
          else shown.push(line)
        }
        left -= lines.length
        if (lines.length < PAGE) break
        after = lines.at(-1)!.id
      }
    }
    if (out.json) return EXIT.done
    if (shown.length === 0) out.say('No deliveries.')
    else for (const line of table(['id', 'purpose', 'to', 'state', 'not before (UTC)', 'sent (UTC)', 'tries', 'reason'], shown.map(rowOf))) out.say(line)
    if (left === 0) out.say(dim('and perhaps more; --limit shows more, --state and --purpose fewer.'))
    return EXIT.done
  })
}

const rowOf = (line: DeliveryLine): string[] => [line.id, line.purpose, line.to ?? '', line.state, moment(line.sendAt), moment(line.sentAt), String(line.attempts), line.reason ?? '']
const moment = (instant: string | null): string => instant?.slice(0, 16).replace('T', ' ') ?? ''

/** `muster deliveries show ID`: one delivery with everything that was tried. */
export function showOneDelivery(context: Context, id: string): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const delivery = await database.tenant(await findOrganizationOfDelivery(database, id), (tx) => showDelivery(tx, id))
    if (!delivery) throw new CommandRefused('deliveries.unknown_id', `There is no delivery ${JSON.stringify(id)}.`)
    if (out.json) {
      out.data(delivery)
      return EXIT.done
    }
    out.say(`delivery ${delivery.id}: ${delivery.purpose} to ${inert(delivery.to ?? '(nobody)')}, ${delivery.state}`)
    for (const [name, value] of [['not before', delivery.sendAt && `${moment(delivery.sendAt)} UTC`], ['sent', delivery.sentAt && `${moment(delivery.sentAt)} UTC`], ['message id', delivery.messageId], ['reason', delivery.reason]] as const) if (value) out.say(`  ${name.padEnd(11)} ${inert(value)}`)
    if (delivery.tries.length > 0) for (const line of table(['try', 'begun (UTC)', 'stage', 'answer'], delivery.tries.map((attempt) => [String(attempt.number), moment(attempt.startedAt), attempt.stage, attempt.response ?? '']))) out.say(`  ${line}`)
    if (delivery.state === 'unknown') out.say(`  Nobody knows whether it arrived. Ask the person, then: ./muster deliveries resolve ${id} --as sent   or   --as not-sent (it is sent again)`)
    return EXIT.done
  })
}

export type ReleaseFlags = { import: string; at?: string }

/** `muster deliveries release --import ID [--at DATE]`: lets go what an import holds. */
export function releaseDeliveries(context: Context, flags: ReleaseFlags): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { database, queues } = installation
    const { organizationId } = await findImport(database, flags.import)
    const wish = await readWish(installation, organizationId, flags.at ?? 'now', '--at')
    if (wish.kind !== 'now' && wish.kind !== 'at') throw new CommandRefused('usage.delivery', `--at ${JSON.stringify(flags.at)} is no date.`, 'Write a date such as "2026-12-01 08:00".')
    const released = await database.tenant(organizationId, (tx) => releaseHeld(tx, { importId: flags.import, sendAt: wish.kind === 'at' ? new Date(wish.instant) : null }))
    const ours = await ensureWorker(installation, context.out)
    await queues.wake('deliver', { organizationId })
    if (ours) await followDeliveries(installation, organizationId, flags.import, context.out)
    if (context.out.json) context.out.data({ released })
    else context.out.say(released === 0 ? `Import ${flags.import} holds no mails.` : `${count(released, 'mail')} released${wish.kind === 'at' ? `, to leave from ${wish.instant}` : ''}.`)
    return EXIT.done
  })
}

/** `muster deliveries retry ID`: sends a failed one again, with a new secret. */
export function retryDelivery(context: Context, id: string): Promise<ExitStatus> {
  return change(context, id, (tx, operator) => retry(tx, id, operator))
}

/** `muster deliveries resolve ID --as sent|not-sent`: a person's decision about one whose end is unknown. */
export function resolveDelivery(context: Context, id: string, flags: { as: string }): Promise<ExitStatus> {
  const how = oneOf<'sent' | 'not-sent'>(flags.as, ['sent', 'not-sent'], '--as')!
  return change(context, id, (tx, operator) => resolve(tx, id, how, operator))
}

function change(context: Context, id: string, work: (tx: Parameters<typeof retry>[0], operator: string) => Promise<void>): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const organization = await findOrganizationOfDelivery(installation.database, id)
    await installation.database.tenant(organization, (tx) => work(tx, installation.operator))
    await ensureWorker(installation, context.out)
    await installation.queues.wake('deliver', { organizationId: organization })
    const delivery = await settled(installation.database, organization, id)
    if (context.out.json) context.out.data(delivery)
    else context.out.say(`delivery ${id} is ${delivery?.state}${delivery?.reason ? `: ${inert(delivery.reason)}` : ''}`)
    return EXIT.done
  })
}

/** The delivery once its mail has left or has shown that it cannot, or after some seconds. */
async function settled(database: Parameters<typeof findOrganizationOfDelivery>[0], organization: string, id: string): Promise<Awaited<ReturnType<typeof showDelivery>>> {
  for (let looks = 0; ; looks++) {
    const delivery = await database.tenant(organization, (tx) => showDelivery(tx, id))
    const due = delivery?.state === 'scheduled' && delivery.sendAt !== null && new Date(delivery.sendAt) <= (await database.now())
    if (looks >= 50 || !(due || delivery?.state === 'queued' || delivery?.state === 'sending')) return delivery
    await pause(100)
  }
}

function oneOf<Value extends string>(text: string | undefined, known: readonly Value[], flag: string): Value | undefined {
  if (text === undefined) return undefined
  if (!known.includes(text as Value)) throw new CommandRefused('usage.value', `${flag} ${JSON.stringify(text)} is not known.`, `Write one of ${known.join(', ')}.`)
  return text as Value
}
