/**
 * `npm run bench`: how fast Muster is beside a floor that is measured in the same run. docs/benchmarks.md says what and how.
 * Progress goes to stderr; stdout has the table, or with --json one JSON object.
 */
import { constants, cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { medianPair, ratioOf, type Benchmark, type Pair } from './benchmark.ts'
import { credentials } from './credentials.ts'
import { feedFull } from './feedFull.ts'
import { feedsAtOnce } from './feedsAtOnce.ts'
import { openGround, type Ground } from './ground.ts'
import { importNew } from './importNew.ts'
import { importNewUsers } from './importNewUsers.ts'
import { IMPORT_ROWS } from './importScene.ts'
import { importUnchanged } from './importUnchanged.ts'
import { invitations } from './invitations.ts'
import { releaseBenchmarks } from './release.ts'
import { signIn } from './signIn.ts'
import { signInUnknownUser } from './signInUnknownUser.ts'
import { sweep } from './sweep.ts'
import { workerMemory } from './workerMemory.ts'
import { xlsxMemory } from './xlsxMemory.ts'
import { xlsxRead } from './xlsxRead.ts'

const BENCHMARKS: readonly Benchmark[] = [importNew, importNewUsers, importUnchanged, xlsxRead, xlsxMemory, workerMemory, invitations, credentials, signIn, signInUnknownUser, ...releaseBenchmarks, sweep, feedFull, ...feedsAtOnce]
const DEFAULT_RUNS = 3
const USAGE = `Usage: npm run bench -- [--only NAME[,NAME]] [--rows N] [--runs N] [--json] [--list]
  --only   these benchmarks only
  --rows   rows of the imports, ${IMPORT_ROWS} by default; everything else is scaled with them, and the targets are for the full size
  --runs   pairs of floor and ours that are measured, ${DEFAULT_RUNS} by default; the one with the median ratio counts
  --json   the results as JSON
  --list   the names of the benchmarks and what they are`

type Result = { name: string; unit: string; value: number; floor: number; ratio: number; target: number; met: boolean }
type Measured = { benchmark: Benchmark; result: Result; pairs: Pair[] }

const say = (line: string): void => void process.stderr.write(`${line}\n`)
const machine = (): string => {
  const cores = cpus()
  return `${cores[0]?.model.trim() ?? 'unknown processor'}, ${cores.length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`
}

/** Told of a fault of the command line. */
class UsageRefused extends Error {}

function readOptions(): { chosen: Benchmark[]; rows: number; runs: number; json: boolean; list: boolean } {
  let values
  try {
    values = parseArgs({ options: { only: { type: 'string' }, rows: { type: 'string' }, runs: { type: 'string' }, json: { type: 'boolean', default: false }, list: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } }).values
  } catch (error) {
    throw new UsageRefused((error as Error).message)
  }
  if (values.help) throw new UsageRefused('')
  const wholeNumber = (name: string, text: string | undefined, usual: number): number => {
    if (text === undefined) return usual
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageRefused(`--${name} must be a whole number above 0`)
    return Number(text)
  }
  const names = values.only?.split(',').map((name) => name.trim())
  const unknown = names?.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name))
  if (unknown !== undefined) throw new UsageRefused(`There is no benchmark ${JSON.stringify(unknown)}. There are ${BENCHMARKS.map(({ name }) => name).join(', ')}.`)
  return {
    chosen: BENCHMARKS.filter(({ name }) => names === undefined || names.includes(name)),
    rows: wholeNumber('rows', values.rows, IMPORT_ROWS),
    runs: wholeNumber('runs', values.runs, DEFAULT_RUNS),
    json: values.json,
    list: values.list,
  }
}

function resultOf({ name, unit, better, target }: Benchmark, pairs: readonly Pair[]): Result {
  const pair = medianPair(pairs, better)
  const ratio = ratioOf(pair, better)
  const round = (number: number, places: number): number => Number(number.toFixed(places))
  return { name, unit, value: round(pair.value, 1), floor: round(pair.floor, 1), ratio: round(ratio, 3), target, met: ratio >= target }
}

function table(measured: readonly Measured[]): string {
  const amount = (value: number, unit: string): string => `${value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 })} ${unit}`
  const lines = [
    ['benchmark', 'value', 'floor', 'ratio', 'lowest to highest', 'target', ''],
    ...measured.map(({ benchmark, result, pairs }) => {
      const ratios = pairs.map((pair) => ratioOf(pair, benchmark.better))
      const range = ratios.length === 1 ? 'once' : `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
      const short = `${((1 - result.ratio / result.target) * 100).toFixed(1)} % short`
      return [result.name, amount(result.value, result.unit), amount(result.floor, result.unit), result.ratio.toFixed(2), range, String(result.target), result.met ? 'met' : short]
    }),
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const isText = (column: number): boolean => column === 0 || column === lines[0]!.length - 1
  return lines.map((line) => line.map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('   ').trimEnd()).join('\n')
}

let interrupted = false

/** Clears up and ends. Whatever is under way fails meanwhile, connections as events of their own too, and none of that is worth a word. */
function interrupt(ground: Ground, signal: NodeJS.Signals): void {
  if (interrupted) return
  interrupted = true
  say('clearing up')
  process.on('uncaughtException', () => undefined)
  void ground.close().finally(() => process.exit(128 + constants.signals[signal]))
}

async function run(): Promise<void> {
  const { chosen, rows, runs, json, list } = readOptions()
  if (list) {
    const width = Math.max(...chosen.map(({ name }) => name.length))
    for (const { name, title } of chosen) process.stdout.write(`${name.padEnd(width)}   ${title}\n`)
    return
  }
  const started = performance.now()
  const ground = await openGround({ runs, scale: rows / IMPORT_ROWS, say })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(ground, signal))
  const measured: Measured[] = []
  try {
    for (const benchmark of chosen) {
      say(`${benchmark.name}: ${benchmark.title}`)
      const pairs = await benchmark.run(ground)
      measured.push({ benchmark, pairs, result: resultOf(benchmark, pairs) })
    }
  } finally {
    await ground.close()
  }
  say(`measured in ${Math.round((performance.now() - started) / 1000)} s`)
  if (json) process.stdout.write(`${JSON.stringify({ machine: machine(), results: measured.map(({ result }) => result) })}\n`)
  else process.stdout.write(`${machine()}${rows === IMPORT_ROWS ? '' : `; scaled to ${rows} rows, the targets are for ${IMPORT_ROWS}`}\n\n${table(measured)}\n`)
}

try {
  await run()
} catch (error) {
  if (interrupted) await new Promise(() => undefined)
  if (error instanceof UsageRefused) say(`${error.message === '' ? '' : `${error.message}\n`}${USAGE}`)
  else say(`The benchmarks could not be measured: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  process.exitCode = error instanceof UsageRefused && error.message === '' ? 0 : 1
}
