import type { Ground } from './ground.ts'

/** One measurement of ours beside one of the floor, made right before it. Both in the benchmark's unit. */
export type Pair = { value: number; floor: number }

export type Benchmark = {
  /** Stable: scripts ask for it by name. */
  name: string
  /** What is measured against what, in one line. */
  title: string
  unit: 'rows/s' | 'mails/s' | 'credentials/s' | 'sign-ins/s' | 'ms' | 's' | '%' | 'MB'
  /** more: ours over the floor is the ratio. less: the floor is a limit, and the limit over ours is the ratio. */
  better: 'more' | 'less'
  /** The ratio that the specification asks for, at least. */
  target: number
  /** Measures `ground.runs` pairs, floor and ours in turns. */
  run(ground: Ground): Promise<Pair[]>
}

export const ratioOf = ({ value, floor }: Pair, better: Benchmark['better']): number => (better === 'more' ? value / floor : floor / value)

/** The pair whose ratio is the median; of an even number the worse one of the two in the middle. */
export function medianPair(pairs: readonly Pair[], better: Benchmark['better']): Pair {
  const sorted = pairs.toSorted((a, b) => ratioOf(a, better) - ratioOf(b, better))
  return sorted[Math.floor((sorted.length - 1) / 2)]!
}

/**
 * Measures floor and ours in turns, so that what else the machine does meanwhile falls on both.
 * @param count things that both do; each of the two gives the seconds that it took
 */
export async function inTurns(ground: Ground, name: string, count: number, floor: () => Promise<number>, ours: () => Promise<number>): Promise<Pair[]> {
  const pairs: Pair[] = []
  for (let run = 1; run <= ground.runs; run++) {
    const floorSeconds = await floor()
    const seconds = await ours()
    const pair = { value: count / seconds, floor: count / floorSeconds }
    pairs.push(pair)
    ground.say(`${name} ${run} of ${ground.runs}: floor ${floorSeconds.toFixed(2)} s, ours ${seconds.toFixed(2)} s, ratio ${(pair.value / pair.floor).toFixed(2)}`)
  }
  return pairs
}

/** Seconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}
