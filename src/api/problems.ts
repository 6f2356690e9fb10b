/** Everything that the HTTP API refuses, in one table: stable code, HTTP status, sentence and what to do. docs/api.md lists the same, and a test holds the two together. */
export const API_PROBLEMS = {
  'sign_in.wrong': { status: 401, title: 'The login is wrong.', hint: 'User id and password do not go together, or the user may not sign in. Which of them it is is not told.' },
  'sign_in.wait': { status: 429, title: 'There were too many wrong tries.', hint: 'Try again after the seconds in Retry-After.' },
  'sign_in.sso': { status: 403, title: 'The organization signs in through SSO.', hint: 'Ask its identity provider. Muster keeps no passwords of this organization.' },
  'sign_in.not_ready': { status: 403, title: 'The login is right, and the account cannot be used yet.', hint: 'It lacks a group, a profile or a license. Tell the user whom to ask; "muster users list --filter loginable=false" lists those who are in the same position.' },
  'api.key_missing': { status: 401, title: 'The request has no API key.', hint: 'Send the header "Authorization: Bearer KEY"; "muster keys create" makes a key.' },
  'api.key_unknown': { status: 401, title: 'The API key is unknown or revoked.', hint: 'Look at "muster keys list", or make another one with "muster keys create".' },
  'api.key_elsewhere': { status: 403, title: 'The API key is not one of the organization that was named.', hint: 'Send the key of that organization, or leave "organization" out.' },
  'api.key_tries': { status: 429, title: 'Too many unknown API keys came from this address.', hint: 'Try again after the seconds in Retry-After, with a key that is one.' },
  'api.too_many_requests': { status: 429, title: 'The API key made too many requests within a minute.', hint: 'Try again after the seconds in Retry-After.' },
  'host.foreign': { status: 421, title: 'The API does not answer to this name.', hint: 'Ask it through https at PUBLIC_URL, or on the machine itself at localhost: passwords are not to travel in clear.' },
  'body.invalid': { status: 400, title: 'The request cannot be read.', hint: 'Send what the OpenAPI document describes: /api/v1/openapi.json' },
  'body.media_type': { status: 415, title: 'The request is not JSON.', hint: 'Send JSON, with the header "Content-Type: application/json".' },
  'body.too_large': { status: 413, title: 'The request is too large.', hint: 'Send nothing but what the OpenAPI document describes: /api/v1/openapi.json' },
  'route.unknown': { status: 404, title: 'There is nothing at this address.', hint: 'See /api/v1/openapi.json for what there is, and by which method.' },
  unavailable: { status: 503, title: 'The database does not answer.', hint: 'Nothing is lost. Try again after the seconds in Retry-After.' },
  unexpected: { status: 500, title: 'Something went wrong that should not.', hint: 'The log of the portal says why.' },
} as const satisfies Record<string, { status: number; title: string; hint: string }>

export type ApiProblemCode = keyof typeof API_PROBLEMS

/** A refusal, as the error handler answers it. */
export class ApiProblem extends Error {
  readonly code: ApiProblemCode
  /** What is wrong in this case, where that can be said. */
  readonly detail: string | null
  /** Seconds to wait. */
  readonly retryAfter: number | null

  constructor(code: ApiProblemCode, { detail = null, retryAfter = null }: { detail?: string | null; retryAfter?: number | null } = {}) {
    super(API_PROBLEMS[code].title)
    this.name = 'ApiProblem'
    this.code = code
    this.detail = detail
    this.retryAfter = retryAfter
  }
}

/** Seconds after which a database that is gone is asked again. */
const COME_BACK = 5

/** Codes of Fastify for bodies that it does not take. */
const BODY: Readonly<Record<string, ApiProblemCode>> = { FST_ERR_CTP_INVALID_MEDIA_TYPE: 'body.media_type', FST_ERR_CTP_BODY_TOO_LARGE: 'body.too_large' }

/** Codes of node-postgres and PostgreSQL for a server that cannot be reached: connection errors and class 08, 57P0x (shutting down), 53300 (full). */
const NO_DATABASE = /^(?:ECONN\w+|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|08\w{3}|57P0\d|53300)$/

/** What an error is to whoever asked. */
export function problemOf(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (Object.hasOwn(BODY, code)) return new ApiProblem(BODY[code]!)
  if (NO_DATABASE.test(code) || (error instanceof Error && /terminated unexpectedly|Cannot use a pool after/.test(error.message))) return new ApiProblem('unavailable', { retryAfter: COME_BACK })
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return new ApiProblem(status >= 400 && status < 500 ? 'body.invalid' : 'unexpected')
}

/** Problem details (RFC 9457), with the code as a member of its own. */
export function problemDocument({ code, detail }: ApiProblem): { type: string; title: string; status: number; code: ApiProblemCode; detail: string } {
  const { status, title, hint } = API_PROBLEMS[code]
  return { type: `/api/v1/openapi.json#${code}`, title, status, code, detail: detail === null ? hint : `${detail} ${hint}` }
}
