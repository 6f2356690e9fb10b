import { inTurns, type Benchmark } from './benchmark.ts'
import { copyTables } from './floorCopy.ts'
import { importScene, takeIn } from './importScene.ts'

const EVERY_USER = 3
const TABLES = ['contacts', 'users', 'user_group_members', 'user_roles']

export const importNewUsers: Benchmark = {
  name: 'import-new-users',
  title: 'the same with a user for every third person, against a bare COPY of the finished rows of all tables',
  unit: 'rows/s',
  better: 'more',
  target: 0.35,
  async run(ground) {
    const { template, received, finalRows } = await importScene(ground, 'users', EVERY_USER, TABLES)
    return inTurns(
      ground,
      importNewUsers.name,
      received.rows,
      () => ground.withCopy(template, (url) => copyTables(url, finalRows)),
      () => ground.withCopy(template, (url) => takeIn(ground, url, received, { created: received.rows })),
    )
  },
}
