/** The command line as scripts see it (interface.md): each command a process of its own. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

export type Json = Record<string, unknown>
export type Ran = {
  status: number | null
  out: string
  err: string
  /** Standard output, which is one JSON document; throws where it is not. */
  json: Json
  /** Standard output, a JSON document a line. */
  lines: Json[]
}

const ENTRY = join(import.meta.dirname, '../../muster.ts')

/** Runs a command to its end in a folder, with an environment of its own: the settings given, and nothing else. */
export async function runMuster(args: readonly string[], { folder, settings }: { folder: string; settings: Readonly<Record<string, string>> }): Promise<Ran> {
  const child = spawn(process.execPath, [ENTRY, ...args], { cwd: folder, env: { PATH: process.env['PATH'], NO_COLOR: '1', ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  const parsed = (): Json[] => out.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Json)
  return {
    status, out, err,
    get json() {
      const [first, ...more] = parsed()
      if (first === undefined || more.length > 0) throw new Error(`not one JSON document: ${out}${err}`)
      return first
    },
    get lines() {
      return parsed()
    },
  }
}
