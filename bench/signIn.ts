import { inTurns, timed, type Benchmark } from './benchmark.ts'
import { hashBare } from './floorHash.ts'
import { PASSWORD, usernameOf, withApi } from './signInScene.ts'

const SIGN_INS = 600
const CONNECTIONS = 8

export const signIn: Benchmark = {
  name: 'sign-in',
  title: `${SIGN_INS} right sign-ins through the HTTP API over ${CONNECTIONS} connections, against argon2id alone at the same cost and on as many cores`,
  unit: 'sign-ins/s',
  better: 'more',
  target: 0.85,
  run(ground) {
    const count = ground.scaled(SIGN_INS)
    return withApi(ground, CONNECTIONS, async (ask) => {
      let next = 0
      const signedIn = async (many: number): Promise<void> => {
        let left = many
        const client = async (): Promise<void> => {
          while (left-- > 0) {
            const status = await ask(usernameOf(next++), PASSWORD)
            if (status !== 200) throw new Error(`a right sign-in was answered with ${status}`)
          }
        }
        await Promise.all(Array.from({ length: CONNECTIONS }, client))
      }
      // Connections opened, plans made, code compiled: a server is started once.
      await signedIn(CONNECTIONS * 5)
      return inTurns(ground, signIn.name, count, () => hashBare(count), () => timed(() => signedIn(count)))
    })
  },
}
