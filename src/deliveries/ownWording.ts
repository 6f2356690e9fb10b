import type { Database } from '../entities/database.ts'
import { readOwnTemplate, readOwnVersion, type OwnVersion } from '../organizations/mailTemplates.ts'
import { compileTemplate, type CompiledTemplate } from '../templates/render.ts'
import type { Claimed } from './compose.ts'

/** The compiled wording of its own that a delivery's organization has for its purpose; null: the default is what is mailed. */
export type OwnWording = (claimed: Claimed) => Promise<CompiledTemplate | null>

/** Versions that stay compiled in a process. */
const KEPT = 200

type Parts = { database: Database; log: { error(detail: object, message: string): void } }

/**
 * Organizations' own wordings (spec D5), read and compiled once for each version that a claim names. One that this version of Muster
 * cannot take any more is left for the default: people get their mail, and the log tells of it.
 */
export function ownWordings({ database, log }: Parts): OwnWording {
  const compiled = new Map<string, Promise<CompiledTemplate | null>>()
  const compile = async ({ id: organizationId, language }: Claimed['organization'], own: OwnVersion): Promise<CompiledTemplate | null> => {
    // Published anew since the claim: the new one is what the organization wants. Withdrawn: the default.
    const source = await database.tenant(organizationId, async (tx) => (await readOwnVersion(tx, own)) ?? (await readOwnTemplate(tx, own.purpose, language))?.source ?? null)
    if (source === null) return null
    try {
      return compileTemplate(own.purpose, source)
    } catch (error) {
      log.error({ organizationId, purpose: own.purpose, version: own.version, error: String(error) }, "the organization's own wording cannot be used; the default is mailed")
      return null
    }
  }
  return ({ purpose, organization }) => {
    const own = organization.ownTemplates.find((template) => template.purpose === purpose)
    if (!own) return Promise.resolve(null)
    const key = `${own.id} ${own.version}`
    const known = compiled.get(key)
    if (known) return known
    if (compiled.size >= KEPT) compiled.delete(compiled.keys().next().value!)
    const made = compile(organization, own)
    compiled.set(key, made)
    // A database that was away for a moment must not cost an organization its wording for good.
    made.catch(() => compiled.delete(key))
    return made
  }
}
