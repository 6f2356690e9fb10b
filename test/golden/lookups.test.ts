/** Row-level security and authorized lookups (spec C6): what limits a user, "all" unless given. */
import { describe, expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, fates, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const LOOKUPS = { ...QUIET, lookups: { jobCode: ['all', 'Engineering', 'Sales'], payGroup: ['all', 'Weekly'], reason: ['Hired', 'Left'] } }
const HEADER = 'External ID|First Name|Last Name|Authorized Lookups'

const held = async (acme: Importing) =>
  (await acme.sql<{ line: string }>(
    `select c.external_id || ': ' || string_agg(g.dimension || '=' || g.name, '; ' order by g.dimension, g.name) as line
     from user_lookups l join users u on u.id = l.user_id join contacts c on c.id = u.contact_id join security_groups g on g.id = l.security_group_id
     where l.organization_id = $1 group by c.external_id order by 1`,
    [acme.organizationId],
  )).map(({ line }) => line)

const clearing = async (acme: Importing, ...fields: string[]) => {
  await acme.saveMapping({ name: 'clearing', columns: {}, blank: Object.fromEntries(fields.map((field) => [field, 'clear'])) })
  return { mapping: 'clearing' }
}

describe('authorized lookups', () => {
  test('are "all" in every field that has such a group, unless the row names the field', async () => {
    const acme = await importing(database.current, LOOKUPS)
    const report = await acme.run(sheet(HEADER, '1|Ada|Lovelace|', '2|Ben|Okafor|Job Code=engineering; JOB_CODE = Sales; reason=Left', '3|Cai|Li|pay-group=Weekly'))
    expect([fates(report), codes(report)]).toEqual([{ read: 3, created: 3 }, []])
    expect(await held(acme)).toEqual(['1: jobCode=all; payGroup=all', '2: jobCode=Engineering; jobCode=Sales; payGroup=all; reason=Left', '3: jobCode=all; payGroup=Weekly'])
  })

  test('are found under a header in any of five languages', async () => {
    for (const header of ['Lookups', 'Búsquedas autorizadas', 'Recherches autorisées', 'Nachschlagefelder', 'Opzoekvelden']) {
      const acme = await importing(database.current, LOOKUPS)
      await acme.run(sheet(`External ID|First Name|Last Name|${header}`, '1|Ada|Lovelace|jobCode=Sales'))
      expect(await held(acme), header).toEqual(['1: jobCode=Sales; payGroup=all'])
    }
  })

  test('of a field or group that is not declared are rejected, and the nearest is named', async () => {
    const acme = await importing(database.current, LOOKUPS)
    const report = await acme.run(sheet(HEADER, '1|Ada|Lovelace|jobCode=Enginering', '2|Ben|Okafor|jobKode=Sales', '3|Cai|Li|shoe size=nine', '4|Dee|Lo|Engineering', '5|Eve|Ng|jobCode='))
    expect([fates(report), codes(report)]).toEqual([{ read: 5, rejected: 5 }, ['lookup.unknown 2', 'lookup.unknown 3', 'lookup.unknown 4', 'lookup.invalid 5', 'lookup.invalid 6']])
    expect(report.issues.map(({ value, hint }) => [value, hint])).toEqual([
      ['jobCode=Enginering', 'Did you mean jobCode=Engineering?'],
      ['jobKode=Sales', 'Did you mean jobCode=Sales?'],
      ['shoe size=nine', 'See the list of known values in the template.'],
      ['Engineering', 'Write the field and its security group, like jobCode=all.'],
      ['jobCode=', 'Write the field and its security group, like jobCode=all.'],
    ])
    expect(report.issues[0]).toMatchObject({ column: 'Authorized Lookups', field: 'lookups' })
  })

  test('a later row replaces those of the fields that it names, and no others; the preview tells both', async () => {
    const acme = await importing(database.current, LOOKUPS)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|jobCode=Engineering; reason=Hired'))
    const plan = await acme.preview(sheet(HEADER, '1|Ada|Lovelace|jobCode=Sales'))
    expect((await acme.plan(plan.id))[0]!.changes).toEqual({ lookups: { old: 'jobCode=Engineering; payGroup=all; reason=Hired', new: 'jobCode=Sales; payGroup=all; reason=Hired' } })
    expect(await acme.commit(plan.id)).toMatchObject({ totals: { updated: 1 }, users: { updated: 1 } })
    expect(await held(acme)).toEqual(['1: jobCode=Sales; payGroup=all; reason=Hired'])
    expect(fates(await acme.run(sheet(HEADER, '1|Ada|Lovelace|jobCode=sales')))).toEqual({ read: 1, unchanged: 1 })
    expect(fates(await acme.run(sheet(HEADER, '1|Ada|Lovelace|')))).toEqual({ read: 1, unchanged: 1 })
  })

  test('a blank cell that clears makes them "all" again', async () => {
    const acme = await importing(database.current, LOOKUPS)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|jobCode=Engineering; reason=Hired'))
    const plan = await acme.preview(sheet(HEADER, '1|Ada|Lovelace|'), await clearing(acme, 'lookups'))
    expect((await acme.plan(plan.id))[0]!.changes).toEqual({ lookups: { old: 'jobCode=Engineering; payGroup=all; reason=Hired', new: 'jobCode=all; payGroup=all' } })
    await acme.commit(plan.id)
    expect(await held(acme)).toEqual(['1: jobCode=all; payGroup=all'])
    expect(fates(await acme.run(sheet(HEADER, '1|Ada|Lovelace|'), { mapping: 'clearing' }))).toEqual({ read: 1, unchanged: 1 })
  })

  test('are nobody else\'s: a contact alone has none', async () => {
    const acme = await importing(database.current, LOOKUPS)
    await acme.run(sheet(`${HEADER}|System User`, '1|Ada|Lovelace|jobCode=Sales|no'))
    expect(await held(acme)).toEqual([])
  })
})

describe('row-level security', () => {
  const groups = async (acme: Importing) =>
    acme.sql(`select d.name as department, l.name as location from users u left join security_groups d on d.id = u.department_id left join security_groups l on l.id = u.location_id where u.organization_id = $1 order by u.id`, [acme.organizationId])

  test('a dimension without a group "all" has to be named for a user, not for a contact', async () => {
    const acme = await importing(database.current, { ...QUIET, securityGroups: { department: ['HR', 'IT'], location: ['Duluth'] } })
    const report = await acme.run(sheet('External ID|First Name|Last Name|System User|Department|Location', '1|Ada|Lovelace|||', '2|Ben|Okafor||HR|', '3|Cai|Li||IT|Duluth', '4|Dee|Lo|no||'))
    expect([fates(report), codes(report)]).toEqual([{ read: 4, created: 2, rejected: 2 }, ['security.required 2', 'security.required 3']])
    expect(report.issues.map(({ column, field, message }) => [column, field, message])).toEqual([
      ['Department', 'department', 'The user needs a security group for Department, Location.'],
      ['Location', 'location', 'The user needs a security group for Location.'],
    ])
    expect(await groups(acme)).toEqual([{ department: 'IT', location: 'Duluth' }])
  })

  test('a dimension without any groups limits nobody', async () => {
    const acme = await importing(database.current, { ...QUIET, securityGroups: { department: [] } })
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace')))).toEqual({ read: 1, created: 1 })
    expect(await groups(acme)).toEqual([{ department: null, location: 'all' }])
  })

  test('a blank cell that clears makes a group "all" again, or is rejected where there is none', async () => {
    const acme = await importing(database.current, QUIET)
    const header = 'External ID|First Name|Last Name|Department|Location'
    await acme.run(sheet(header, '1|Ada|Lovelace|HR|Duluth', '2|Ben|Okafor|HR|'))
    const plan = await acme.preview(sheet(header, '1|Ada|Lovelace||', '2|Ben|Okafor|HR|'), await clearing(acme, 'department'))
    expect((await acme.plan(plan.id)).map(({ fate, changes }) => [fate, changes])).toEqual([['update', { department: { old: 'HR', new: 'all' } }], ['unchanged', {}]])
    await acme.commit(plan.id)
    expect(await groups(acme)).toEqual([{ department: 'all', location: 'Duluth' }, { department: 'HR', location: 'all' }])
    await acme.declare({ securityGroups: { department: ['HR'] } })
    const refused = await acme.run(sheet(header, '2|Ben|Okafor||'), { mapping: 'clearing' })
    expect([fates(refused), codes(refused)]).toEqual([{ read: 1, rejected: 1 }, ['security.required 2']])
  })
})
