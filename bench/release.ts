import type { Benchmark } from './benchmark.ts'
import type { Ground } from './ground.ts'
import { releaseLeft } from './releaseScene.ts'

/** A value that is nothing would have no ratio to its limit. */
const LEAST = 0.001

const limited = async (ground: Ground, which: 'first' | 'deviation' | 'late', floor: number) => [{ value: Math.max((await releaseLeft(ground))[which], LEAST), floor }]

/** What is asked of a go-live: one and the same release, measured once. */
export const releaseBenchmarks: readonly Benchmark[] = [
  {
    name: 'release-first',
    title: 'the first of 20,000 invitations due at one instant leaves a warm fleet of two workers, against a limit of 2 s; once',
    unit: 's', better: 'less', target: 1,
    run: (ground) => limited(ground, 'first', 2),
  },
  {
    name: 'release-rate',
    title: 'how far the rate at which they leave is from the 12,000 a minute that are set, against a limit of 5 %; the same release',
    unit: '%', better: 'less', target: 1,
    run: (ground) => limited(ground, 'deviation', 5),
  },
  {
    name: 'release-late',
    title: 'how late 99 of 100 of them are against their schedule, against a limit of 5 s; the same release',
    unit: 's', better: 'less', target: 1,
    run: (ground) => limited(ground, 'late', 5),
  },
  {
    name: 'release-not-early',
    title: 'how many of them do not leave before their time, against all of them; the same release',
    unit: '%', better: 'more', target: 1,
    run: async (ground) => [{ value: (await releaseLeft(ground)).notEarly, floor: 100 }],
  },
]
