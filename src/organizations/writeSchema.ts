/**
 * The organization's declaration as JSON Schema, for editors and for those who write declarations by program.
 * `node src/organizations/writeSchema.ts` writes it to docs/organization.schema.json; a test holds that file to the zod schema.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { declarationSchema } from './declaration.ts'

/** Where the schema lies, absolute. */
export const SCHEMA_FILE = join(import.meta.dirname, '../../docs/organization.schema.json')

/**
 * The text of the schema file. It describes what may be written: whatever has a default may be left out. What JSON Schema cannot
 * say (a default that must name something declared, names that differ) only Muster checks.
 */
export function declarationSchemaText(): string {
  const title = 'The declaration of an organization'
  const description = 'Generated from src/organizations/declaration.ts by "node src/organizations/writeSchema.ts". Take it in with: ./muster organization apply FILE.json'
  const { $schema, ...schema } = z.toJSONSchema(declarationSchema, { io: 'input' })
  return `${JSON.stringify({ $schema, title, description, ...schema }, null, 2)}\n`
}

if (import.meta.main) writeFileSync(SCHEMA_FILE, declarationSchemaText())
