/** Watching a release comes to an end, whatever the mail server does; what is told next is the right list. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { followRelease } from '../../src/commands/followRelease.ts'
import { openOutput } from '../../src/commands/output.ts'
import { showReleaseLines } from '../../src/commands/showRelease.ts'
import { pauseSmtp, resumeSmtp } from '../../src/deliveries/pause.ts'
import { showRelease } from '../../src/deliveries/releasePlan.ts'
import { createRelease } from '../../src/deliveries/releases.ts'
import { sweepReleases } from '../../src/deliveries/waves.ts'
import { readOrganization } from '../../src/organizations/organizations.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1 })
})
afterAll(() => run.close())

/** A release of so many mails that are due. */
async function due(scene: Scene, mails: number): Promise<string> {
  const owed = await scene.owe(mails, { state: 'held', sendAt: 'null' })
  const users = await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1) order by user_id', [owed])
  const { id } = await run.database.tenant(scene.organizationId, (tx) =>
    createRelease(tx, { name: `go-live ${owed[0]}`, userIds: users.map(({ id: user }) => user), purpose: 'invitation', sendAt: new Date(0), ratePerMinute: null, firstWave: 0, restAfterMinutes: 15, operator: 'olga' }))
  // Its instant is kept in whole milliseconds, and may be rounded up to just behind that transaction's own.
  await scene.sql(`update releases set send_at = send_at - interval '1 second' where id = $1`, [id])
  await run.database.tenant(scene.organizationId, (tx) => sweepReleases(tx))
  return id
}

test.each([true, false])('ends while the mail server refuses our login, and says so (only what is due: %s)', async (whileDue) => {
  const scene = await run.scene()
  const id = await due(scene, 2)
  await pauseSmtp(run.database, '535 5.7.8 wrong password', 600)
  try {
    const said: string[] = []
    const out = openOutput(true, { write: () => undefined }, { write: (line) => said.push(line) }, () => 0)
    expect(await followRelease({ database: run.database }, scene.organizationId, id, out, { whileDue })).toMatchObject({ state: 'running', counts: { due: 2, sent: 0 } })
    expect(said.join('')).toContain('All mail is paused, for the mail server refuses our login: 535 5.7.8 wrong password')
  } finally {
    await resumeSmtp(run.database)
  }
})

test('a release names the lists of its own mails that are in trouble, each by its state', async () => {
  const scene = await run.scene()
  const id = await due(scene, 3)
  const nextOf = (): Promise<string> => run.database.tenant(scene.organizationId, async (tx) => showReleaseLines(await showRelease(tx, id), await readOrganization(tx)).at(-1)!)
  expect(await nextOf()).not.toContain('deliveries list')
  await scene.sql(`update deliveries set state = 'unknown' where id = (select min(id) from deliveries where release_id = $1)`, [id])
  await scene.sql(`update deliveries set state = 'bounced' where id = (select max(id) from deliveries where release_id = $1)`, [id])
  const next = await nextOf()
  expect(next).toContain(`./muster deliveries list --release ${id} --state unknown`)
  expect(next).toContain(`./muster deliveries list --release ${id} --state bounced`)
  expect(next).not.toContain('--state failed')
})
