import { destination, pino, type Logger } from 'pino'
import type { LogLevel } from '../config.ts'

/** The process's log: JSON lines on standard error, ids only, never a secret or an address. */
export function openLog(level: LogLevel): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination({ fd: 2, sync: true }))
}
