import type { FastifyInstance } from 'fastify'
import { KEPT_FOR_EVER, loadPageFile } from '../templates/pages.ts'

const FILES = {
  style: { type: 'text/css; charset=utf-8', name: 'console.css', from: new URL('static/console.css', import.meta.url) },
  script: { type: 'text/javascript; charset=utf-8', name: 'console.js', from: new URL('static/console.js', import.meta.url) },
  htmx: { type: 'text/javascript; charset=utf-8', name: 'htmx.js', from: new URL(import.meta.resolve('htmx.org/dist/htmx.min.js')) },
  icon: { type: 'image/svg+xml', name: 'icon.svg', from: new URL('static/icon.svg', import.meta.url) },
} as const

/** The address of each file that pages refer to. It changes with the file, so that browsers may keep it for ever. */
export type Assets = Record<keyof typeof FILES, string>

/** Serves the console's own files from memory. */
export async function serveAssets(app: FastifyInstance): Promise<Assets> {
  const addresses: [string, string][] = []
  for (const [key, { type, name, from }] of Object.entries(FILES)) {
    const { address, bytes } = await loadPageFile(from, name)
    addresses.push([key, address])
    app.get(address, (_, reply) => reply.type(type).header('cache-control', KEPT_FOR_EVER).send(bytes))
  }
  return Object.fromEntries(addresses) as Assets
}
