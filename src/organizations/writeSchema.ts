/**
 * The declarations of an organization and of a feed as JSON Schema, for editors and for those who write declarations by program.
 * `node src/organizations/writeSchema.ts` writes them to docs; a test holds the files to the zod schemas.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { feedSchema } from '../feeds/declaration.ts'
import { declarationSchema } from './declaration.ts'

const docs = join(import.meta.dirname, '../../docs')
/** Where the schemas lie, absolute. */
export const SCHEMA_FILE = join(docs, 'organization.schema.json')
export const FEED_SCHEMA_FILE = join(docs, 'feed.schema.json')

/**
 * The text of the organization's schema file. It describes what may be written: whatever has a default may be left out. What JSON Schema
 * cannot say (a default that must name something declared, names that differ) only Muster checks.
 */
export const declarationSchemaText = (): string => schemaText(declarationSchema, 'The declaration of an organization', 'src/organizations/declaration.ts', './muster organization apply FILE.json')

/** The text of the feed's schema file, as above. Only Muster checks a schedule, a zone, and that what is named is there. */
export const feedSchemaText = (): string => schemaText(feedSchema, 'The declaration of a feed', 'src/feeds/declaration.ts', './muster feed apply FILE.json')

function schemaText(declared: z.ZodType, title: string, source: string, command: string): string {
  const description = `Generated from ${source} by "node src/organizations/writeSchema.ts". Take it in with: ${command}`
  const { $schema, ...schema } = z.toJSONSchema(declared, { io: 'input' })
  return `${JSON.stringify({ $schema, title, description, ...schema }, null, 2)}\n`
}

if (import.meta.main) {
  writeFileSync(SCHEMA_FILE, declarationSchemaText())
  writeFileSync(FEED_SCHEMA_FILE, feedSchemaText())
}
