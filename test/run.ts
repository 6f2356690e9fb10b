/**
 * `npm test`: types, lint and every test, ending with a line "N passed, N failed, N skipped".
 * `--check-only` (`npm run check`): types, lint and the structure of the source only. Other arguments go to vitest.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { PROGRAMS } from './support/programs.ts'

const checkout = join(import.meta.dirname, '..')
const bin = join(checkout, 'node_modules', '.bin')
// Rows of a query and parsed JSON get their type by assertion; everything else that types can tell is checked.
const LINT = ['--type-aware', '--quiet']
const STRUCTURE = 'test/structure.test.ts'

let child: ReturnType<typeof spawn> | undefined
let interrupted: NodeJS.Signals | undefined

/** Runs a program with the checkout's tools first on the path; resolves with its exit status. */
const runProgram = (command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}, output: 'inherit' | 'ignore' = 'inherit'): Promise<number> =>
  new Promise((done) => {
    const path = `${bin}${delimiter}${process.env['PATH'] ?? ''}`
    child = spawn(command, args, { cwd: checkout, stdio: ['ignore', output, 'inherit'], env: { ...process.env, PATH: path, ...environment } })
    child.once('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      done(1)
    })
    child.once('close', (status, signal) => done(signal === null ? (status ?? 1) : 128 + constants.signals[signal]))
  })

/** One of the checks that are not tests: says what it does, how long it took, and whether it passed. */
const check = async (title: string, tool: string, args: readonly string[]): Promise<boolean> => {
  const started = performance.now()
  const status = await runProgram(join(bin, tool), args)
  process.stdout.write(`${status === 0 ? 'ok' : 'FAILED'}  ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
  return status === 0
}

/** Installs what the suites need and the machine lacks, where that is possible without asking: as root on Debian. */
const installPrograms = async (): Promise<void> => {
  const wanted = Object.values(PROGRAMS).filter(({ program }) => !isInstalled(program)).map(({ debian }) => debian)
  if (wanted.length === 0 || process.getuid?.() !== 0 || !isInstalled('apt-get')) return
  process.stdout.write(`Installing ${wanted.join(', ')} for the suites that need it ...\n`)
  // Runlevel 1 keeps Debian's packages from starting their daemons.
  const environment = { DEBIAN_FRONTEND: 'noninteractive', DEBCONF_NOWARNINGS: 'yes', RUNLEVEL: '1' }
  const install = () => runProgram('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', 'install', '-y', '--no-install-recommends', ...wanted], environment, 'ignore')
  if ((await install()) === 0) return
  await runProgram('apt-get', ['-qq', 'update'], environment, 'ignore')
  if ((await install()) !== 0) process.stdout.write('That failed; those suites will be skipped.\n')
}

const isInstalled = (program: string): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].some((folder) => existsSync(join(folder, program)))

type Counts = { passed: number; failed: number; skipped: number }

/** The parts of vitest's JSON report that are counted. */
type Report = {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { status: string; assertionResults: unknown[] }[]
}

/** Runs vitest and counts; a file that did not load counts as one failure, and so does a run that failed otherwise. */
const runTests = async (args: readonly string[]): Promise<Counts> => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-report-'))
  const file = join(folder, 'report.json')
  try {
    const status = await runProgram(join(bin, 'vitest'), ['run', ...args, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`])
    const report = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined
    if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
    const unloaded = report.testResults.filter((result) => result.status === 'failed' && result.assertionResults.length === 0).length
    const failed = report.numFailedTests + unloaded
    return {
      passed: report.numPassedTests,
      failed: status !== 0 && failed === 0 ? 1 : failed,
      skipped: report.numPendingTests + report.numTodoTests,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Once: vitest takes a second signal as an order to leave its services running.
    if (interrupted === undefined && name === 'SIGTERM') child?.kill('SIGINT')
    interrupted = name
  })
}

const args = process.argv.slice(2)
const checkOnly = args.includes('--check-only')
const steps: (() => Promise<Counts>)[] = [
  async () => ({ passed: 0, failed: (await check('types', 'tsc', ['-p', '.'])) ? 0 : 1, skipped: 0 }),
  async () => ({ passed: 0, failed: (await check('lint', 'oxlint', LINT)) ? 0 : 1, skipped: 0 }),
]
if (!checkOnly) {
  steps.push(async () => {
    await installPrograms()
    return runTests(args)
  })
} else if (existsSync(join(checkout, STRUCTURE))) {
  steps.push(() => runTests([STRUCTURE]))
}

const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
for (const step of steps) {
  const result = await step()
  if (interrupted !== undefined) process.exit(128 + constants.signals[interrupted])
  counts.passed += result.passed
  counts.failed += result.failed
  counts.skipped += result.skipped
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
process.exitCode = counts.failed === 0 ? 0 : 1
