import type { AccessParts } from '../accounts/accessParts.ts'

/** What the HTTP API is made of. */
export type ApiParts = {
  access: AccessParts
  /** Told of what goes wrong. Default: nobody. */
  log?: { error(details: object, message: string): void }
  /** Whether a Host header is a name that the API answers to. Default: every one is. */
  isOurs?: (host: string | undefined) => boolean
  /** Requests that one key may make in a minute, by this process. Default 6,000. */
  requestsPerMinute?: number
}
