import { Roles } from './001-roles.ts'
import { Schema } from './002-schema.ts'
import { Fleet } from './003-fleet.ts'
import { Access } from './004-access.ts'
import { AccessFleet } from './005-access-fleet.ts'
import { Feeds } from './006-feeds.ts'
import { FeedsFleet } from './007-feeds-fleet.ts'
import { MIGRATION_NAMES } from './names.ts'

const CLASSES = { '001-roles': Roles, '002-schema': Schema, '003-fleet': Fleet, '004-access': Access, '005-access-fleet': AccessFleet, '006-feeds': Feeds, '007-feeds-fleet': FeedsFleet }

/** Every migration in order; listed by hand so that nothing is found by accident. */
export const migrations = MIGRATION_NAMES.map((name) => ({ name, class: CLASSES[name] }))
