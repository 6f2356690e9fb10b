/** An organization whose people can sign in, the HTTP API in a process of its own, and a client of it. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createKey } from '../src/accounts/apiKeys.ts'
import { hashPassword } from '../src/accounts/passwords.ts'
import { deliveryScene } from '../test/support/deliveryScene.ts'
import { ended, type Ground } from './ground.ts'
import { withDatabase } from './importScene.ts'

const TEMPLATE = 'bench_sign_in'
const SECRET = 'of a benchmark, and of nothing else'
const PEOPLE = 2_000
export const PASSWORD = 'violet-canoe-7-harbour'

/** A sign-in through the API: the status of its answer. */
export type Ask = (username: string, password: string) => Promise<number>

/** The n-th person's user id. */
export const usernameOf = (index: number): string => `ana${(index % PEOPLE) + 1}`

/** Runs the API over a fresh database while `work` asks it, over so many connections that stay open. */
export async function withApi<T>(ground: Ground, connections: number, work: (ask: Ask) => Promise<T>): Promise<T> {
  const key = await ground.template(TEMPLATE, null, (url) =>
    withDatabase(url, async (database) => {
      const scene = await deliveryScene(database, { key: 'bench' })
      await scene.owe(PEOPLE, { state: 'held', sendAt: 'null' })
      // One hash for all of them: what it costs to verify does not depend on it.
      await scene.sql('update users set password_hash = $1', [await hashPassword(PASSWORD, randomBytes)])
      return (await database.tenant(scene.organizationId, (tx) => createKey(tx, 'bench', 'bench', randomBytes))).key
    }),
  )
  return ground.withCopy(TEMPLATE, async (databaseUrl) => {
    const server = ground.child('bench/apiServer.ts', [databaseUrl, SECRET])
    const agent = new Agent({ keepAlive: true, maxSockets: connections })
    try {
      const [line] = (await once(server.stdout, 'data')) as [Buffer]
      const url = `${line.toString().trim()}/api/v1/sign-in`
      const ask: Ask = (username, password) =>
        new Promise((resolve, reject) => {
          const body = JSON.stringify({ username, password, address: `10.${randomBytes(3).join('.')}` })
          const asked = request(url, { method: 'POST', agent, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (answer) => {
            answer.resume()
            answer.once('end', () => resolve(answer.statusCode!))
          })
          asked.once('error', reject)
          asked.end(body)
        })
      return await work(ask)
    } finally {
      agent.destroy()
      await ended(server)
    }
  })
}
