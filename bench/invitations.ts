import { inTurns, type Benchmark } from './benchmark.ts'
import { sendBare } from './floorMailer.ts'
import { mailScene, sendAll, withSink } from './mailScene.ts'

const MAILS = 5_000

export const invitations: Benchmark = {
  name: 'invitations',
  title: '5,000 invitations claimed, rendered, fenced, sent and recorded, against nodemailer sending ready mails of the same size',
  unit: 'mails/s',
  better: 'more',
  target: 0.6,
  async run(ground) {
    const scene = await mailScene(ground, 'invitation', ground.scaled(MAILS))
    return withSink(ground, (sinkUrl) => inTurns(ground, invitations.name, scene.mails, () => sendBare(sinkUrl, scene.mails), () => sendAll(ground, sinkUrl, scene)))
  },
}
