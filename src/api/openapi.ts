import { z } from 'zod'
import { API_PROBLEMS, type ApiProblemCode } from './problems.ts'
import * as schemas from './schemas.ts'

const JSON_TYPE = 'application/json'

/** A schema as the document holds it: JSON Schema 2020-12, which OpenAPI 3.1 takes as it is. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

const content = (reference: string, type = JSON_TYPE) => ({ [type]: { schema: { $ref: `#/components/schemas/${reference}` } } })

/** The refusals of an operation by status, each told with its codes. */
function refusals(codes: readonly ApiProblemCode[]): Record<string, object> {
  const byStatus = Object.groupBy(codes, (code) => String(API_PROBLEMS[code].status))
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus!.map((code) => `${code}: ${API_PROBLEMS[code].title}`).join('\n\n'),
        ...(['429', '503'].includes(status) && { headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } } }),
        content: content('Problem', 'application/problem+json'),
      },
    ]),
  )
}

/** The OpenAPI 3.1 document of the API, made from the schemas that requests are checked by. */
export function openApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: { title: 'Muster', version: '1', description: 'For the product that the users belong to: asks whether a login is right.' },
    paths: {
      '/api/v1/sign-in': {
        post: {
          operationId: 'signIn',
          summary: 'Whether a login is right. Sets the last login.',
          security: [{ key: [] }],
          requestBody: { required: true, content: content('SignInRequest') },
          responses: {
            200: { description: 'The login is right.', content: content('SignInAnswer') },
            ...refusals(['sign_in.wrong', 'sign_in.wait', 'sign_in.sso', 'sign_in.not_ready', 'api.key_missing', 'api.key_unknown', 'api.key_elsewhere', 'api.key_tries', 'api.too_many_requests', 'host.foreign', 'body.invalid', 'body.media_type', 'body.too_large', 'unavailable', 'unexpected']),
          },
        },
      },
      '/api/v1/health': {
        get: {
          operationId: 'health',
          summary: 'Whether the API can answer.',
          security: [],
          responses: { 200: { description: 'It can.', content: content('Health') }, 503: { description: 'It cannot.', content: content('Health') } },
        },
      },
      '/api/v1/openapi.json': {
        get: { operationId: 'openApi', summary: 'This document.', security: [], responses: { 200: { description: 'OpenAPI 3.1', content: { [JSON_TYPE]: { schema: { type: 'object' } } } } } },
      },
    },
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key of the organization, made with "muster keys create".' } },
      schemas: {
        SignInRequest: schemaOf(schemas.signInRequest, 'input'),
        SignInAnswer: schemaOf(schemas.signInAnswer, 'output'),
        Health: schemaOf(schemas.healthAnswer, 'output'),
        Problem: schemaOf(schemas.problem, 'output'),
      },
    },
  }
}
