import { inTurns, type Benchmark } from './benchmark.ts'
import { hashBare } from './floorHash.ts'
import { mailScene, sendAll, withSink } from './mailScene.ts'

const MAILS = 300

export const credentials: Benchmark = {
  name: 'credentials',
  title: '300 passwords made, hashed and mailed, against argon2id alone at the same cost and on as many cores',
  unit: 'credentials/s',
  better: 'more',
  target: 0.85,
  async run(ground) {
    const scene = await mailScene(ground, 'credentials', ground.scaled(MAILS))
    return withSink(ground, (sinkUrl) => inTurns(ground, credentials.name, scene.mails, () => hashBare(scene.mails), () => sendAll(ground, sinkUrl, scene)))
  },
}
