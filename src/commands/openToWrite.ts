import { open, type FileHandle } from 'node:fs/promises'
import { CommandRefused } from './find.ts'

/**
 * Opens a file of the operator's to write, readable by nobody else; `shown` is the path that they gave. Refuses with what to do where it cannot be written;
 * `onlyNew`: also where there is one already, which nothing may be written over.
 */
export async function openToWrite(path: string, shown = path, { onlyNew = false } = {}): Promise<FileHandle> {
  try {
    return await open(path, onlyNew ? 'wx' : 'w', 0o600)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = { ENOENT: 'its folder does not exist', EACCES: 'that is not allowed here', EISDIR: 'it is a folder', EEXIST: 'it is there already', ENOSPC: 'the disk is full' }[code ?? ''] ?? message
    throw new CommandRefused('file.not_writable', `${shown} cannot be written: ${why}.`, 'Name another path with -o.')
  }
}
