import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { declarationSchemaText, SCHEMA_FILE } from '../../src/organizations/writeSchema.ts'

test('docs/organization.schema.json is what the declaration says today; "node src/organizations/writeSchema.ts" writes it', () => {
  expect(readFileSync(SCHEMA_FILE, 'utf8')).toBe(declarationSchemaText())
})

test('the schema asks only for what has no default, so that the shortest declaration is a key and a name', () => {
  expect((JSON.parse(declarationSchemaText()) as { required: string[] }).required).toEqual(['key', 'name'])
})
