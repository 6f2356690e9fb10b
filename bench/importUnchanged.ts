import { inTurns, type Benchmark } from './benchmark.ts'
import { copyTables } from './floorCopy.ts'
import { receiveCsv, takeIn, withDatabase, type Received } from './importScene.ts'
import { peopleScene } from './importNew.ts'

const TEMPLATE = 'bench_people_again'

export const importUnchanged: Benchmark = {
  name: 'import-unchanged',
  title: 'the file of import-new a second time, nothing changed, against the bare COPY of import-new',
  unit: 'rows/s',
  better: 'more',
  target: 1,
  async run(ground) {
    const { template, received, csv, finalRows } = await peopleScene(ground)
    const again = await ground.template(TEMPLATE, template, async (url): Promise<Received> => {
      await takeIn(ground, url, received, { created: received.rows })
      return { ...received, importId: await withDatabase(url, (database) => receiveCsv(database, received.organizationId, csv)) }
    })
    return inTurns(
      ground,
      importUnchanged.name,
      received.rows,
      () => ground.withCopy(template, (url) => copyTables(url, finalRows)),
      () => ground.withCopy(TEMPLATE, (url) => takeIn(ground, url, again, { unchanged: received.rows })),
    )
  },
}
