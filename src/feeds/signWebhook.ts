import { createHmac } from 'node:crypto'

/** Secrets of Standard Webhooks are written so: the key follows in base64. */
const PREFIX = 'whsec_'

/**
 * The headers of a Standard Webhook (standardwebhooks.com, version 1): by them the reader knows that it comes from us, that it is not
 * an old one, and whether it was told before. Pure.
 * @param secret whsec_ with the key in base64; any other text is the key itself
 * @param id the same each time that an event is told
 * @param at when it is told
 */
export function signWebhook(secret: string, id: string, at: Date, body: string): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret)
  const timestamp = String(Math.floor(at.getTime() / 1000))
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}
