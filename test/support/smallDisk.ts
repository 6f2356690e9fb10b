/** A small filesystem of a test's own, in memory, that can be filled to the last byte. Needs the right to mount. */
import { spawnSync } from 'node:child_process'
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, rmdirSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'

export type SmallDisk = {
  folder: string
  /** Fills it until no more than so many bytes are left. */
  fill(leave?: number): void
  /** Gives back what `fill` has taken. */
  makeRoom(): void
  /** Unmounts it, whoever still has a file open there. */
  remove(): void
}

const BALLAST = 'ballast'
const BLOCK = 4096

const mount = (folder: string, megabytes: number): boolean => spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', folder]).status === 0
const unmount = (folder: string): void => {
  spawnSync('umount', ['--lazy', folder])
  rmdirSync(folder)
}

let mountable: boolean | undefined

/** For `describe.skipIf(skipWithout('mounts'))`: true, with a line that says why, where nothing can be mounted. */
export const skipWithout = (what: 'mounts'): boolean => !(mountable ??= tryMount(what))

const tryMount = (what: string): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-mount-'))
  const mounted = process.platform === 'linux' && mount(folder, 1)
  if (mounted) unmount(folder)
  else {
    rmdirSync(folder)
    process.stderr.write(`skipped without ${what}: ${expect.getState().testPath ?? 'unknown'}. Run it as root, in a container with CAP_SYS_ADMIN.\n`)
  }
  return mounted
}

/** Mounts an empty disk at `folder`, which is made. `owner`: whose it is; default: this user. */
export const smallDisk = (folder: string, megabytes: number, owner?: { uid: number; gid: number }): SmallDisk => {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  if (!mount(folder, megabytes)) throw new Error(`no small disk could be mounted at ${folder}`)
  if (owner) chownSync(folder, owner.uid, owner.gid)
  return {
    folder,
    fill(leave = 0) {
      const file = openSync(join(folder, BALLAST), 'a')
      const block = Buffer.alloc(BLOCK, 1)
      try {
        // Others may write there meanwhile: asked anew for each.
        while (statfsSync(folder).bavail * BLOCK > leave) writeSync(file, block)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    makeRoom: () => rmSync(join(folder, BALLAST), { force: true }),
    remove: () => unmount(folder),
  }
}
