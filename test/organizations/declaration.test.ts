/** What a declaration may not say, and what only a new organization may not. */
import { describe, expect, test } from 'vitest'
import { applyDeclaration } from '../../src/organizations/apply.ts'
import { DeclarationRefused, parseDeclaration } from '../../src/organizations/declaration.ts'
import { importing, useDatabase } from '../support/importing.ts'

const database = useDatabase()
const ACME = { key: 'acme', name: 'Acme Staffing' }

describe('authorized lookups', () => {
  test.each(['company', 'businessUnit', 'department', 'location'])('cannot be called %s, whose groups they would write over', async (field) => {
    const acme = await importing(database.current, { securityGroups: { [field]: ['all', 'North'] } })
    await expect(acme.declare({ securityGroups: { [field]: ['all', 'North'] }, lookups: { [field]: ['Other'] } })).rejects.toThrow(new RegExp(`lookups.${field}: is a part of row-level security`))
    const groups = await acme.sql<{ name: string }>('select name from security_groups where organization_id = $1 and dimension = $2 and not withdrawn order by name', [acme.organizationId, field])
    expect(groups).toEqual([{ name: 'North' }, { name: 'all' }])
  })

  test('of any other name are taken', () => {
    expect(parseDeclaration({ ...ACME, lookups: { jobCode: ['all'], constructor: ['all'] } }).lookups).toMatchObject({ jobCode: ['all'] })
  })
})

describe('a key that addresses of the portal begin with', () => {
  test('is refused to a new organization, and nothing is made', async () => {
    await expect(applyDeclaration(database.current, { ...ACME, key: 'invitations' })).rejects.toThrow(DeclarationRefused)
    await expect(applyDeclaration(database.current, { ...ACME, key: 'api' })).rejects.toThrow('key: is a word that addresses of the portal begin with; choose another')
    expect(await database.current.fleet((tx) => tx.query("select key from fleet.organizations() where key in ('invitations', 'api')"))).toEqual([])
  })

  test('stays with an organization that has it, which can be changed as any other', async () => {
    const old = await importing(database.current)
    await old.sql("update organizations set key = 'health' where id = $1", [old.organizationId])
    expect(await applyDeclaration(database.current, { ...ACME, key: 'health', name: 'Health Staffing' })).toMatchObject({ id: old.organizationId, created: false })
  })
})
