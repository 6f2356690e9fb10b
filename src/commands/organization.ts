import { readFile } from 'node:fs/promises'
import { writeTemplate } from '../importers/template.ts'
import { applyDeclaration, describe } from '../organizations/apply.ts'
import { declareCatalog, loadCatalog } from '../organizations/catalog.ts'
import { listOrganizations, organizationId, readOrganization } from '../organizations/organizations.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { openToWrite } from './openToWrite.ts'
import { count, EXIT, inert, table, type ExitStatus } from './output.ts'

/** `muster organization apply FILE.json` */
export async function applyOrganization(context: Context, path: string): Promise<ExitStatus> {
  const declaration = await readJson(path, 'docs/organization.schema.json')
  return context.with(async ({ database }) => {
    const { out } = context
    const applied = await applyDeclaration(database, declaration)
    if (out.json) out.data({ organization: { id: applied.id, key: applied.key }, created: applied.created, changes: applied.changes })
    else if (applied.created) out.say(`Created ${applied.key}.`)
    else if (applied.changes.length === 0) out.say(`${applied.key} is as declared; nothing was changed.`)
    else {
      out.say(`${applied.key}: ${count(applied.changes.length, 'change')}`)
      for (const change of applied.changes) out.say(`  ${inert(change)}`)
    }
    return EXIT.done
  })
}

/** What a JSON file holds; `schema` is the document that describes it. Throws CommandRefused. */
export async function readJson(path: string, schema: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CommandRefused('file.not_found', `${path} cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}.`, 'Check the path.')
  })
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandRefused('declaration.not_json', `${path} is not JSON: ${(error as Error).message}.`, `Check it with any JSON editor; ${schema} describes it.`)
  }
}

/** `muster organization list` */
export function listAllOrganizations(context: Context): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const organizations = await listOrganizations(database)
    if (out.json) out.data({ organizations })
    else if (organizations.length === 0) out.say('No organizations yet. Declare one: ./muster organization apply FILE.json')
    else for (const line of table(['key', 'name'], organizations.map(({ key, name }) => [key, name]))) out.say(line)
    return EXIT.done
  })
}

/** `muster organization show KEY`: its declaration, as JSON either way; it can be applied again as it is. */
export function showOrganization(context: Context, key: string): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const declaration = await database.tenant(await organizationId(database, key), describe)
    if (context.out.json) context.out.data(declaration)
    else context.out.say(JSON.stringify(declaration, null, 2))
    return EXIT.done
  })
}

/** `muster template KEY [-o FILE.xlsx]` */
export function writeOrganizationTemplate(context: Context, key: string, flags: { output?: string }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const bytes = await database.tenant(await organizationId(database, key), async (tx) => {
      const { settings, ...organization } = await readOrganization(tx)
      return writeTemplate({ organization, settings, catalog: declareCatalog(await loadCatalog(tx)) })
    })
    const path = flags.output ?? `${key}-people.xlsx`
    const file = await openToWrite(path)
    try {
      await file.writeFile(bytes)
    } finally {
      await file.close()
    }
    if (context.out.json) context.out.data({ file: path, bytes: bytes.length })
    else context.out.say(`${inert(path)} is the template of ${key}. Fill in the sheet People, then: ./muster import ${inert(path)} --organization ${key} --preview`)
    return EXIT.done
  })
}
