import { Roles } from './001-roles.ts'
import { Schema } from './002-schema.ts'
import { Fleet } from './003-fleet.ts'
import { Access } from './004-access.ts'
import { AccessFleet } from './005-access-fleet.ts'
import { Feeds } from './006-feeds.ts'
import { FeedsFleet } from './007-feeds-fleet.ts'

/** Every migration in order; listed by hand so that nothing is found by accident. */
export const migrations = [
  { name: '001-roles', class: Roles },
  { name: '002-schema', class: Schema },
  { name: '003-fleet', class: Fleet },
  { name: '004-access', class: Access },
  { name: '005-access-fleet', class: AccessFleet },
  { name: '006-feeds', class: Feeds },
  { name: '007-feeds-fleet', class: FeedsFleet },
]
