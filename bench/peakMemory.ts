import { readFileSync } from 'node:fs'

/** The most memory that a process has had so far, in MB of a million bytes, by Linux's own count (VmHWM of proc_pid_status). */
export function peakMemory(process: number | 'self'): number {
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1]
  if (kibibytes === undefined) throw new Error(`process ${process} does not tell its peak memory`)
  return (Number(kibibytes) * 1024) / 1_000_000
}
