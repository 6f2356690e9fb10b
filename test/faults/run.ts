/** `npm run faults -- --repeats N`: every fault test, each deed N times. */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { repeats: { type: 'string', default: '50' } } })
const repeats = Number(values.repeats)
if (!Number.isInteger(repeats) || repeats < 1) {
  process.stderr.write('--repeats takes a whole number from 1\n')
  process.exit(64)
}
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/faults'], {
  cwd: join(import.meta.dirname, '..', '..'),
  stdio: 'inherit',
  env: { ...process.env, MUSTER_FAULT_REPEATS: String(repeats) },
})
process.exit(status ?? 1)
