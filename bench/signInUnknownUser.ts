import { timed, type Benchmark } from './benchmark.ts'
import { usernameOf, withApi, type Ask } from './signInScene.ts'

const TRIES = 200

export const signInUnknownUser: Benchmark = {
  name: 'sign-in-unknown-user',
  title: `${TRIES} sign-ins with a wrong user id in turns with as many with a wrong password, one after the other: the slower median against the faster`,
  unit: 'ms',
  better: 'less',
  target: 0.95,
  run(ground) {
    const tries = ground.scaled(TRIES)
    return withApi(ground, 1, async (ask) => {
      let next = 0
      for (let warm = 0; warm < 20; warm++) await wrong(ask, usernameOf(next++))
      const pairs = []
      for (let run = 1; run <= ground.runs; run++) {
        const unknown: number[] = []
        const known: number[] = []
        for (let round = 0; round < tries; round++) {
          next++
          // In turns, and each of the two first as often, so that what else the machine does falls on both.
          const both = [async () => unknown.push(await wrong(ask, `nobody.${run}.${round}`)), async () => known.push(await wrong(ask, usernameOf(next)))]
          for (const one of round % 2 === 0 ? both : both.toReversed()) await one()
        }
        ground.say(`${signInUnknownUser.name} ${run} of ${ground.runs}: wrong user id ${distribution(unknown)}; wrong password ${distribution(known)}`)
        const medians = [quantile(unknown, 0.5), quantile(known, 0.5)]
        pairs.push({ value: Math.max(...medians), floor: Math.min(...medians) })
      }
      return pairs
    })
  },
}

/** Milliseconds that a wrong sign-in takes. */
async function wrong(ask: Ask, username: string): Promise<number> {
  let status = 0
  const seconds = await timed(async () => {
    status = await ask(username, 'not the password')
  })
  if (status !== 401) throw new Error(`a wrong sign-in was answered with ${status}`)
  return seconds * 1000
}

function quantile(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * share)]!
}

const distribution = (times: readonly number[]): string => `median ${quantile(times, 0.5).toFixed(1)} ms, quartiles ${quantile(times, 0.25).toFixed(1)} to ${quantile(times, 0.75).toFixed(1)}`
