import { z } from 'zod'
import { ACCOUNT_KINDS, ACTIVITY_STATES, INVITATION_STATES } from '../entities/states.ts'
import { API_PROBLEMS, type ApiProblemCode } from './problems.ts'

/** What the API takes and gives. The OpenAPI document is made from these. */

export const signInRequest = z.strictObject({
  organization: z.string().max(63).optional().meta({ description: "The organization's key. The API key says already whose users are meant; where both are given, they have to go together." }),
  username: z.string().min(1).max(320).meta({ description: 'The user id as typed; case and spaces around it do not count.' }),
  password: z.string().max(1_000).meta({ description: 'The password as typed.' }),
  address: z.string().max(100).optional().meta({ description: "The end user's address, by which wrong tries are counted. Without it they are counted by user id alone; your server's own address never counts." }),
  device: z.string().max(200).nullable().optional().meta({ description: "What an earlier answer gave for this user's browser. With it nobody else's wrong tries make this user wait." }),
})

export const user = z.looseObject({
  id: z.string(),
  contactId: z.string(),
  externalId: z.string().nullable().meta({ description: "The client's own identifier." }),
  username: z.string(),
  email: z.string().nullable(),
  accountKind: z.enum(ACCOUNT_KINDS),
  state: z.enum(ACTIVITY_STATES),
  loginable: z.boolean(),
  groups: z.array(z.string()),
  profile: z.string().nullable(),
  license: z.string().nullable(),
  roles: z.array(z.string()),
  mustChangePassword: z.boolean(),
  lastLoginAt: z.string().nullable().meta({ description: 'ISO 8601; this sign-in.' }),
  onboarding: z.enum(INVITATION_STATES).nullable().meta({ description: 'The state of the latest invitation.' }),
})

export const signInAnswer = z.object({
  right: z.literal(true),
  user,
  mustChangePassword: z.boolean().meta({ description: 'The password was made for the user: send them to the portal to choose one before they go on.' }),
  noticeAccepted: z.boolean().meta({ description: "Whether the user has accepted the organization's notice, which the portal shows at the first sign-in there." }),
  device: z.string().meta({ description: "To be kept in a cookie of the user's browser and sent with the next sign-in from it. It opens nothing." }),
})

export const healthAnswer = z.object({ status: z.enum(['ok', 'failing']).meta({ description: 'failing: the database does not answer.' }) })

export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.enum(Object.keys(API_PROBLEMS) as [ApiProblemCode, ...ApiProblemCode[]]).meta({ description: 'Stable.' }),
  detail: z.string(),
})
