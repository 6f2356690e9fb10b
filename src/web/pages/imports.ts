import type { FastifyInstance } from 'fastify'
import type { Transaction } from '../../entities/database.ts'
import { listImports } from '../../importers/importReport.ts'
import { organizationOfImport, readOrganization } from '../../organizations/organizations.ts'
import type { Organization } from '../../organizations/organizations.ts'
import { acrossOrganizations, FIRST_ORGANIZATION } from '../acrossOrganizations.ts'
import type { PageParts } from '../parts.ts'
import { PageRefused } from '../errors.ts'
import { idOf, isId, queryOf, textOf } from '../query.ts'
import { wordsOf } from '../show.ts'
import { importLine } from './importLine.ts'
import { importView, progressPart } from './oneImport.ts'

/** Lines of a page. */
const SHOWN = 25

/** GET /imports, /organizations/:key/imports, /imports/:id and /imports/:id/progress. */
export function importRoutes(app: FastifyInstance, parts: PageParts): void {
  const { page, fragment } = parts

  app.get('/imports', async (request, reply) => {
    return page(reply, 'imports', { title: 'Imports', section: 'imports' }, await listView(parts, null, idOf(request.query, 'before')))
  })

  app.get<{ Params: { key: string } }>('/organizations/:key/imports', async (request, reply) => {
    const view = await listView(parts, request.params.key, idOf(request.query, 'before'))
    return page(reply, 'imports', { title: `Imports of ${view.organization!.name}`, section: 'imports' }, view)
  })

  app.get<{ Params: { id: string } }>('/imports/:id', async (request, reply) => {
    const view = await withImport(parts, request.params.id, (tx, organization) => importView(tx, request.params.id, organization, request.query))
    return page(reply, 'import', { title: view.file, section: 'imports', live: view.part.running }, view)
  })

  app.get<{ Params: { id: string } }>('/imports/:id/progress', async (request, reply) => {
    const part = await withImport(parts, request.params.id, (tx) => progressPart(tx, request.params.id))
    // Each state has more to show than the part that is fetched again: the whole page is loaded anew.
    if (part.state !== textOf(request.query, 'state')) reply.header('hx-refresh', 'true')
    return fragment(reply, 'importProgress', { part })
  })

  async function withImport<View>({ database }: PageParts, id: string, read: (tx: Transaction, organization: Organization) => Promise<View | null>): Promise<View> {
    const owner = isId(id) ? await organizationOfImport(database, id) : null
    const view = owner === null ? null : await againWhenStagingGone(() => database.tenant(owner, async (tx) => read(tx, await readOrganization(tx))))
    if (view === null) throw new PageRefused(404, `There is no import ${JSON.stringify(id)}`, 'It may be on another installation. The list shows those there are.', { command: './muster import list', section: 'imports' })
    return view
  }

  async function listView({ database }: PageParts, key: string | null, before: string | null) {
    const found = await acrossOrganizations(database, { only: key, section: 'imports' }, async (tx, organization) => {
      const stored = await listImports(tx, SHOWN + 1, before)
      const lines = []
      for (const one of stored) lines.push(await importLine(tx, one, organization))
      return lines
    })
    const all = found.flatMap(({ answer }) => answer).sort((a, b) => Number(BigInt(b.id) - BigInt(a.id)))
    const lines = all.slice(0, SHOWN)
    const organizations = found.map(({ organization }) => ({ key: organization.key, name: organization.name, href: `/organizations/${encodeURIComponent(organization.key)}/imports` }))
    return {
      organization: key === null ? null : organizations[0]!,
      organizations: key === null && organizations.length > 1 ? organizations : [],
      severalOrganizations: organizations.length > 1,
      lines,
      noOrganization: organizations.length === 0,
      firstOrganization: wordsOf(FIRST_ORGANIZATION),
      command: wordsOf(`./muster import people.xlsx --organization ${organizations[0]?.key ?? 'acme'}`),
      older: all.length > SHOWN ? queryOf({ before: lines.at(-1)!.id }) : null,
      newest: before !== null,
    }
  }
}

/** The import may end while it is read, and its staging tables with it: then it is read once more as ended. */
async function againWhenStagingGone<Found>(read: () => Promise<Found>): Promise<Found> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === UNDEFINED_TABLE)) throw error
    return read()
  }
}
const UNDEFINED_TABLE = '42P01'
