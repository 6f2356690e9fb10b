import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { declarationSchemaText, FEED_SCHEMA_FILE, feedSchemaText, SCHEMA_FILE } from '../../src/organizations/writeSchema.ts'

test.each([
  ['docs/organization.schema.json', SCHEMA_FILE, declarationSchemaText],
  ['docs/feed.schema.json', FEED_SCHEMA_FILE, feedSchemaText],
])('%s is what the declaration says today; "node src/organizations/writeSchema.ts" writes it', (_, file, text) => {
  expect(readFileSync(file, 'utf8')).toBe(text())
})

test.each([
  ['an organization is a key and a name', declarationSchemaText, ['key', 'name']],
  ['a feed says whose it is, where the file lies and when, and whether it is full', feedSchemaText, ['organization', 'name', 'server', 'pattern', 'schedule', 'mode']],
])('the schema asks only for what has no default, so that the shortest declaration of %s', (_, text, required) => {
  expect((JSON.parse(text()) as { required: string[] }).required).toEqual(required)
})
