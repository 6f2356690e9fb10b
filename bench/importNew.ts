import { inTurns, type Benchmark } from './benchmark.ts'
import { copyTables } from './floorCopy.ts'
import type { Ground } from './ground.ts'
import { importScene, takeIn, type ImportScene } from './importScene.ts'

/** People without users; also the beginning of what imports the same file again. */
export const peopleScene = (ground: Ground): Promise<ImportScene> => importScene(ground, 'people', 0, ['contacts'])

export const importNew: Benchmark = {
  name: 'import-new',
  title: 'a CSV file of 500,000 new people, from received to committed, against a bare COPY of the finished rows',
  unit: 'rows/s',
  better: 'more',
  target: 0.5,
  async run(ground) {
    const { template, received, finalRows } = await peopleScene(ground)
    return inTurns(
      ground,
      importNew.name,
      received.rows,
      () => ground.withCopy(template, (url) => copyTables(url, finalRows)),
      () => ground.withCopy(template, (url) => takeIn(ground, url, received, { created: received.rows })),
    )
  },
}
