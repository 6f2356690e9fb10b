import { setTimeout as pause } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import type { Output } from './output.ts'

const LOOK_MS = 150
/** How long the answer on a server is waited for, in milliseconds; it is written later all the same. */
export const SETTLE_MS = 15_000

/** Waits until what became of an import was told on its feed's server, and its file is where it belongs; for a while only. */
export async function followSettled({ database }: Pick<Installation, 'database'>, organizationId: string, importId: string, out: Output): Promise<void> {
  const begun = performance.now()
  for (;;) {
    const [open] = await database.tenant(organizationId, (tx) => tx.query(`select from feed_files where import_id = $1 and (state in ('importing', 'held') or settle_at <= now())`, [importId]))
    if (!open || performance.now() - begun > SETTLE_MS) break
    out.progress('answering on the server')
    await pause(LOOK_MS)
  }
  out.settle()
}
