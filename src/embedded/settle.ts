/**
 * Where the cluster lies and who runs it. Usually MUSTER_HOME and the user of this process; but PostgreSQL refuses
 * to run as root, and another user must be able to reach both the data and the programs.
 */
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Home, Log } from './home.ts'
import { program, run } from './binaries.ts'
import type { Binaries, RunAs } from './binaries.ts'

export type Cluster = {
  /** The data folder, free of links. It may not exist yet; its parent does. */
  data: string
  binaries: Binaries
  user: RunAs
}

/** Where root keeps what the database's user cannot reach elsewhere. */
const OUTSIDE = '/var/lib/muster'
/** Looked for, or made, in this order. */
const SYSTEM_USER = 'muster'

/** Decides place, programs and user, and prepares all of them but the cluster itself. Call it under the home's lock. */
export const settle = async (home: Home, binaries: Binaries, log: Log): Promise<Cluster> => {
  if (process.getuid?.() !== 0) return { data: await placeAsSelf(home), binaries, user: {} }
  const user = await userForRoot(home)
  return { data: await placeFor(home, user, log), binaries: await reachableBinaries(binaries, user, log), user }
}

const placeAsSelf = async (home: Home): Promise<string> => {
  const data = linkTarget(home) ?? home.postgres
  const owner = existsSync(data) ? statSync(data).uid : undefined
  if (owner !== undefined && process.getuid !== undefined && owner !== process.getuid()) {
    throw new Error(`The database in ${data} belongs to user ${owner}, and this is user ${process.getuid()}. Run Muster as that user, or choose another MUSTER_HOME.`)
  }
  return existsSync(data) ? realpathSync(data) : join(realpathSync(dirname(data)), 'postgres')
}

/** An existing cluster keeps its owner; else the machine's own `postgres`, else a system user made here, else `nobody`. */
const userForRoot = async (home: Home): Promise<{ uid: number; gid: number }> => {
  if (existsSync(home.postgres)) {
    const { uid, gid } = statSync(home.postgres)
    if (uid !== 0) return { uid, gid }
  }
  // Somebody else's home: that person can run the database alone as well.
  const owner = statSync(home.path)
  if (owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const known = (await idsOf('postgres')) ?? (await idsOf(SYSTEM_USER))
  if (known !== undefined) return known
  await makeSystemUser()
  const found = (await idsOf(SYSTEM_USER)) ?? (await idsOf('nobody'))
  if (found === undefined) {
    throw new Error('PostgreSQL does not run as root, and no other user could be found or made. Run Muster as an ordinary user, or name a PostgreSQL of your own in DATABASE_URL.')
  }
  return found
}

const idsOf = async (name: string): Promise<{ uid: number; gid: number } | undefined> => {
  try {
    const uid = Number(await run('id', ['-u', name], {}))
    return uid === 0 ? undefined : { uid, gid: Number(await run('id', ['-g', name], {})) }
  } catch {
    return undefined
  }
}

const makeSystemUser = async (): Promise<void> => {
  const ways: [string, string[]][] = [
    ['useradd', ['--system', '--no-create-home', '--home-dir', OUTSIDE, '--shell', '/usr/sbin/nologin', '--user-group', SYSTEM_USER]],
    ['adduser', ['-S', '-D', '-H', '-h', OUTSIDE, SYSTEM_USER]],
  ]
  for (const [command, args] of ways) {
    try {
      await run(command, args, {})
      return
    } catch {
      // Not on this system, or in another dialect: the next way, and in the end the user `nobody`.
    }
  }
}

/** MUSTER_HOME/postgres where that user gets through to it, else a folder outside with a link to it. */
const placeFor = async (home: Home, user: { uid: number; gid: number }, log: Log): Promise<string> => {
  const linked = linkTarget(home)
  if (linked !== undefined) {
    makeOutside(dirname(linked))
    return linked
  }
  if (existsSync(home.postgres) || (await canEnter(home.path, user))) return join(realpathSync(home.path), 'postgres')
  // A name of its own each time: data left by a deleted home are neither taken over nor touched.
  const prefix = createHash('sha256').update(realpathSync(home.path)).digest('hex').slice(0, 12)
  makeOutside(OUTSIDE)
  for (const name of readdirSync(OUTSIDE)) {
    if (name.startsWith(prefix)) log(`An earlier ${home.path} left its data in ${join(OUTSIDE, name)}. Delete the folder if nobody needs it.`)
  }
  const data = join(mkdtempSync(join(OUTSIDE, `${prefix}-`)), 'postgres')
  makeOutside(dirname(data))
  symlinkSync(data, home.postgres)
  log(`The database's own user cannot pass through to ${home.path}; its data are kept in ${data}, and ${home.postgres} links there.`)
  return data
}

const linkTarget = (home: Home): string | undefined => {
  try {
    return lstatSync(home.postgres).isSymbolicLink() ? readlinkSync(home.postgres) : undefined
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}

const makeOutside = (folder: string): void => {
  mkdirSync(folder, { recursive: true })
  for (const path of [OUTSIDE, folder]) chmodSync(path, 0o755)
}

/** The programs where they are if that user can run them there, else a copy outside. */
const reachableBinaries = async (binaries: Binaries, user: RunAs, log: Log): Promise<Binaries> => {
  if (await canRun(binaries, user)) return binaries
  const copy = { ...binaries, folder: join(OUTSIDE, `bin-${binaries.version}-${process.arch}`) }
  if (existsSync(copy.folder) && (await canRun(copy, user))) return copy
  makeOutside(OUTSIDE)
  const draft = `${copy.folder}.making-${process.pid}`
  cpSync(binaries.folder, draft, { recursive: true, verbatimSymlinks: true })
  await run('chmod', ['-R', 'a+rX', draft], {})
  rmSync(copy.folder, { recursive: true, force: true })
  renameSync(draft, copy.folder)
  log(`The database's own user cannot pass through to ${binaries.folder}; a copy of its programs is kept in ${copy.folder}.`)
  return copy
}

/** initdb needs the programs, their libraries, and the files in share. */
const canRun = async (binaries: Binaries, user: RunAs): Promise<boolean> => {
  const share = join(binaries.folder, 'share', 'postgresql', 'postgres.bki')
  return (await succeeds(program(binaries, 'postgres'), ['--version'], user)) && succeeds('/bin/sh', ['-c', 'test -r "$1"', 'sh', share], user)
}

const canEnter = (folder: string, user: RunAs): Promise<boolean> => succeeds('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], user)

const succeeds = async (command: string, args: readonly string[], user: RunAs): Promise<boolean> => {
  try {
    await run(command, args, user)
    return true
  } catch {
    return false
  }
}
