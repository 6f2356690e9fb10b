/** Loaded before each test file (vitest's setupFiles): notes failures, so that testDatabase().drop() keeps their database. */
import { afterEach } from 'vitest'
import { noteFailure } from './services.ts'

afterEach(({ task }) => {
  if (task.result?.state === 'fail') noteFailure(task.file.filepath)
})
