import { defineEntity, p } from '@mikro-orm/core'
import { now } from './tenancy.ts'

/** A running worker. None seen lately is a state people are shown ("no worker"). Of no organization. */
export const Worker = defineEntity({
  name: 'Worker',
  tableName: 'workers',
  properties: {
    name: p.text().primary(),
    startedAt: now(),
    seenAt: now(),
  },
})

/** A part of the installation that is paused for everybody, and why: SMTP after a refused login (fault 25). */
export const ServicePause = defineEntity({
  name: 'ServicePause',
  tableName: 'service_pauses',
  properties: {
    service: p.text().primary(),
    reason: p.text(),
    since: now(),
    /** When it is tried again by itself. */
    retryAt: p.datetime(3),
  },
})

/** How often something was tried in vain lately. The key is a keyed hash of whom it is counted for; of no organization. */
export const Throttle = defineEntity({
  name: 'Throttle',
  tableName: 'throttles',
  properties: {
    key: p.text().primary(),
    count: p.integer(),
    /** After this the count begins anew. */
    endsAt: p.datetime(3),
  },
})
