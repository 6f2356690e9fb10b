/** A Redis of a test's own, to be flushed, stopped and started anew. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Redis } from 'ioredis'

export type RedisServer = {
  url: string
  /** Starts it, empty, on the port that it had. */
  start(): Promise<void>
  /** Stops it at once. */
  stop(): Promise<void>
  /** Says a command to it. */
  command(...words: string[]): Promise<unknown>
}

/** Starts a Redis that keeps nothing on disk; `policy` is its maxmemory-policy. */
export async function startRedisServer(policy = 'noeviction'): Promise<RedisServer> {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  const server: RedisServer = {
    url,
    async start() {
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory', '64mb', '--maxmemory-policy', policy, '--daemonize', 'no']
      child = spawn('redis-server', args, { stdio: ['ignore', 'ignore', 'inherit'] })
      await server.command('PING')
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
    async command(...[name, ...words]) {
      const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
      client.on('error', () => undefined)
      try {
        return await client.call(name!, ...words)
      } finally {
        client.disconnect()
      }
    },
  }
  await server.start()
  return server
}

const freePort = (): Promise<number> =>
  new Promise((found, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => found(port))
    })
  })
