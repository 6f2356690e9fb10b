/**
 * MUSTER_HOME: the one folder that Muster keeps on disk when it runs on embedded parts, the secret in it,
 * and the locks by which several Muster processes share it.
 *
 * The locks are SQLite's file locks: the operating system drops them when their process ends, however it ends,
 * so there is no process id to misread and nothing stale to break after a kill -9.
 */
import { chmodSync, chownSync, closeSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'

export type Log = (line: string) => void

/** Where everything lies in MUSTER_HOME. All paths are absolute. */
export type Home = {
  path: string
  secretFile: string
  passwordFile: string
  /** The cluster, or a link to it where root has to keep it elsewhere. */
  postgres: string
  postgresLog: string
  mailbox: string
}

/** Gives back what was taken: a lock, a place among the holders. Calling it again does nothing. */
export type GiveBack = () => void

const SQLITE_BUSY = 5
const POLL_MS = 40
const TELL_AFTER_MS = 2000

/** Open lock files. Without this reference the garbage collector would close them and let go of the locks. */
const held = new Set<DatabaseSync>()

/**
 * Opens the folder, making it when it is not there. Others on the machine may pass through it
 * (the database server runs as another user when Muster runs as root) but not list it.
 */
export const openHome = (path: string): Home => {
  const home = resolve(path)
  try {
    if (mkdirSync(home, { recursive: true, mode: 0o711 }) !== undefined) chmodSync(home, 0o711)
  } catch (cause) {
    throw new Error(`MUSTER_HOME cannot be made at ${home}: ${(cause as Error).message}. Point MUSTER_HOME at a folder that this user may write to.`, { cause })
  }
  return {
    path: home,
    secretFile: join(home, 'secret'),
    passwordFile: join(home, 'postgres-password'),
    postgres: join(home, 'postgres'),
    postgresLog: join(home, 'postgres.log'),
    mailbox: join(home, 'mailbox'),
  }
}

/** Root working in somebody's folder leaves that person's files to that person. */
export const giveToHomeOwner = (home: Home, file: string): void => {
  if (process.getuid?.() !== 0) return
  const owner = statSync(home.path)
  if (owner.uid !== 0 && lstatSync(file).uid !== owner.uid) chownSync(file, owner.uid, owner.gid)
}

/**
 * The text of a file that is made once with mode 600 and stays the same ever after, whoever comes first.
 * It appears whole or not at all: written under another name, forced to disk, then linked into place.
 */
export const madeOnce = (home: Home, file: string, make: () => string): string => {
  const known = readIfThere(file)
  if (known !== undefined) return known
  const text = make()
  const draft = `${file}.${process.pid}.${process.hrtime.bigint()}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, `${text}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    giveToHomeOwner(home, draft)
    linkSync(draft, file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(file, 'utf8').trim()
}

/**
 * The secret that seals feed secrets and sessions where no MUSTER_SECRET is given: made on first use, kept with mode 600.
 * `random` gives bytes from a secure source (crypto.randomBytes).
 */
export const homeSecret = (home: Home, random: (bytes: number) => Buffer): string =>
  madeOnce(home, home.secretFile, () => random(32).toString('base64url'))

/**
 * Runs `work` alone among all processes that use this home and the same lock name.
 * Waits without limit, as `work` may be a long recovery, and says so once through `log`.
 */
export const withLock = async <T>(home: Home, name: string, log: Log, work: () => Promise<T>): Promise<T> => {
  const file = openLockFile(home, `${name}.lock`)
  const started = performance.now()
  let told = false
  try {
    while (!tryExec(file, 'begin exclusive')) {
      if (!told && performance.now() - started > TELL_AFTER_MS) {
        told = true
        log(`Waiting for another Muster process that is busy with ${home.path} ...`)
      }
      await pause(POLL_MS)
    }
    return await work()
  } finally {
    closeLockFile(file)
  }
}

/** Counts this process among those that use the named part, until given back or until the process ends in any way. */
export const becomeHolder = (home: Home, name: string): GiveBack => {
  const file = openLockFile(home, `${name}.holders`)
  // A read transaction holds SQLite's shared lock: many may, and none may have the exclusive one meanwhile.
  if (!tryExec(file, 'begin; select count(*) from sqlite_schema')) {
    closeLockFile(file)
    throw new Error(`The holders of ${name} are being counted by another process. Take the lock "${name}" first.`)
  }
  return () => closeLockFile(file)
}

/** Whether any process, this one included, is a holder. Only sound while the lock of that name is held. */
export const hasHolder = (home: Home, name: string): boolean => {
  const file = openLockFile(home, `${name}.holders`)
  try {
    return !tryExec(file, 'begin exclusive')
  } finally {
    closeLockFile(file)
  }
}

const openLockFile = (home: Home, name: string): DatabaseSync => {
  const path = join(home.path, name)
  let file: DatabaseSync
  try {
    file = new DatabaseSync(path, { timeout: 0 })
  } catch (cause) {
    throw new Error(`The lock ${path} cannot be opened: ${(cause as Error).message}. Run Muster as the user that owns ${home.path}, or choose another MUSTER_HOME.`, { cause })
  }
  held.add(file)
  giveToHomeOwner(home, path)
  return file
}

const closeLockFile = (file: DatabaseSync): void => {
  held.delete(file)
  if (file.isOpen) file.close()
}

/** True when the statement went through, false when another holds a lock against it. */
const tryExec = (file: DatabaseSync, statement: string): boolean => {
  try {
    file.exec(statement)
    return true
  } catch (cause) {
    if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) return false
    throw cause
  }
}

const readIfThere = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}
