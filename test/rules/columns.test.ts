import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FIELD_BY_KEY, FIELDS_PROPOSED, headerKey } from '../../src/rules/aliases.ts'
import { explainFailure } from '../../src/rules/catalog.ts'
import { columnLetters, matchHeaders, parseSetColumn } from '../../src/rules/columns.ts'
import type { Mapping } from '../../src/rules/columns.ts'
import { FIELDS } from '../../src/rules/fields.ts'
import type { FieldName } from '../../src/rules/fields.ts'

const NAMES = ['First Name', 'Last Name']
const mapping = (columns: Mapping['columns'], rest: Partial<Mapping> = {}): Mapping => ({ name: 'test', columns, ...rest })
const match = (headers: (string | null)[], rules: Mapping | null = null) => matchHeaders([...NAMES, ...headers], rules)
const third = (header: string, rules: Mapping | null = null) => match([header], rules).columns[2]!
const failures = (headers: (string | null)[], rules: Mapping | null = null) => matchHeaders(headers, rules).failures

describe('headers (A4)', () => {
  test('of the template name every field, in its order', () => {
    const { columns, failures } = matchHeaders(FIELDS.map(field => field.header), null)
    expect(columns.map(column => column.field)).toEqual(FIELDS.map(field => field.name))
    expect(columns.every(column => column.by === 'alias')).toBe(true)
    expect(failures).toEqual([])
  })

  test.each<[string, FieldName]>([
    ['e-mail', 'email'], ['E-Mail-Adresse', 'email'], ['Correo electrónico', 'email'], ['Courriel', 'email'], ['E-mailadres', 'email'], ['EMAIL_ADDRESS', 'email'], ['emailAddress', 'email'], [' Email * ', 'email'], ['Email (required)', 'email'], ['E‑Mail', 'email'], ['\ufeffEmail', 'email'], ['E\u00a0mail', 'email'], ['Ｅｍａｉｌ', 'email'],
    ['Telefonnummer', 'phone'], ['Téléphone', 'phone'], ['TELEPHONE', 'phone'], ['Teléfono', 'phone'], ['Telefoonnummer', 'phone'], ['Phone #', 'phone'], ['N° de téléphone', 'phone'],
    ['Personal-Nr.', 'externalId'], ['Matricule', 'externalId'], ['Personeelsnummer', 'externalId'], ['Número de empleado', 'externalId'], ['employee id', 'externalId'], ['externalId', 'externalId'],
    ['Benutzername', 'username'], ['Gebruikersgroep', 'groups'], ['Perfil', 'profile'], ['Lizenz', 'license'], ['Rôle', 'roles'], ['Rollen', 'roles'], ['Geschäftsbereich', 'businessUnit'], ['Abteilung', 'department'], ['Afdeling', 'department'], ['Klant', 'customer'], ['Password Send Date', 'sendAt'],
  ])('%j is %s', (header, field) => {
    expect(third(header)).toMatchObject({ field, by: 'alias' })
  })

  test.each([['Given name', 'Surname'], ['Vorname', 'Nachname'], ['Prénom', 'Nom'], ['Nombre', 'Apellidos'], ['Voornaam', 'Achternaam'], ['LAST NAME', 'first_name']])('%s and %s are first and last name', (one, other) => {
    const { columns, failures } = matchHeaders([one, other], null)
    expect(columns.map(column => column.field).toSorted()).toEqual(['firstName', 'lastName'])
    expect(failures).toEqual([])
  })

  test.each<[string, FieldName]>([['Emial', 'email'], ['Phne Number', 'phone'], ['Emplyee ID', 'externalId'], ['Departmnet', 'department'], ['User ID', 'username'], ['ID', 'externalId'], ['Login', 'username'], ['Site', 'worksite']])('%s is not taken for %s, but proposed', (header, nearest) => {
    expect(third(header)).toMatchObject({ field: null, by: 'none', nearest })
  })

  test('far from every field have no proposal', () => {
    expect(third('Favorite Color')).toEqual({ index: 2, header: 'Favorite Color', field: null, attribute: null, by: 'none' })
  })

  test('are not proposed for a field that another column has', () => {
    expect(match(['Email', 'Emial']).columns[3]).not.toHaveProperty('nearest')
  })

  test('that are empty, and Muster\'s own column of errors, are ignored', () => {
    const { columns, failures } = match([null, '', ' \u00a0', 'Errors', null])
    expect(columns.slice(2).map(column => column.by)).toEqual(['ignored', 'ignored', 'ignored', 'ignored', 'ignored'])
    expect(failures).toEqual([])
  })

  test('that are missing are refused by name', () => {
    expect(failures(['Email'])).toEqual([{ code: 'header.missing', detail: { columns: 'First Name, Last Name', advice: 'Add the columns First Name and Last Name.' } }])
    expect(matchHeaders(['Email'], null, { required: ['email'] }).failures).toEqual([])
  })

  test('that were nearly right are told with how to take them', () => {
    const [failure] = failures(['Frist Name', 'Last Name'])
    expect(explainFailure(failure!.code, failure!.detail).hint).toBe('Add the column First Name; or if "Frist Name" (column A) is First Name, say --set-column "Frist Name=firstName".')
  })

  test.each(['Full Name', 'Name', 'Nom complet'])('%s alone is not guessed to be both names: it has to be split', (header) => {
    const [failure, ...rest] = failures([header, 'Email'])
    expect(rest).toEqual([])
    expect(failure).toMatchObject({ code: 'header.missing', detail: { columns: 'First Name, Last Name' } })
    expect(failure!.detail['advice']).toContain(`split "${header}" (column A)`)
  })

  test('for one field twice are refused by name', () => {
    expect(match(['Email', 'E-Mail-Adresse']).failures).toEqual([{ code: 'header.duplicate', detail: { field: 'Email', columns: '"Email" (column C), "E-Mail-Adresse" (column D)' } }])
    expect(match(['Badge', 'badge ']).failures).toMatchObject([{ code: 'header.duplicate', detail: { field: 'Badge' } }])
    expect(match(['Email', 'Work Email'], mapping({ 'work email': 'ignore' })).failures).toEqual([])
  })

  test.each(['__proto__', 'constructor', 'prototype', ' Constructor '])('%s is refused by name', (header) => {
    expect(match([header]).failures).toMatchObject([{ code: 'header.forbidden' }])
    expect(match([header], mapping({}, { unclaimed: 'attribute' })).failures).toMatchObject([{ code: 'header.forbidden' }])
  })

  test.each(['toString', 'hasOwnProperty', 'valueOf', '=cmd()', '<script>', '#'])('%s is a header like any other', (header) => {
    expect(third(header)).toMatchObject({ by: 'none', field: null })
    expect(match([header]).failures).toEqual([])
  })

  test('never touch the prototype of objects, and never throw', () => {
    const rules = JSON.parse('{"name": "x", "columns": {"__proto__": "email", "constructor": {"attribute": "__proto__"}}}') as Mapping
    expect(match(['__proto__', 'constructor'], rules).failures.map(failure => failure.code)).toContain('header.forbidden')
    expect(Object.keys(Object.prototype)).toEqual([])
    fc.assert(fc.property(fc.array(fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('Email', '__proto__', '*', '\u200b')))), (headers) => {
      const { columns } = matchHeaders(headers, null)
      expect(columns.map(column => column.index)).toEqual(headers.keys().toArray())
    }))
  })

  test('of a row of data are cut before they are shown', () => {
    expect(third('x'.repeat(30_000)).header).toHaveLength(201)
    expect(third('a\r\nb\u202ec').header).toBe('a bc')
  })
})

describe('a mapping', () => {
  test('goes before the aliases', () => {
    const rules = mapping({ 'Work phone': 'email', 'E-Mail': 'ignore', 'Badge': { attribute: 'Badge number' }, 'Gone': 'phone' })
    const { columns, absent, failures } = match(['WORK  PHONE', 'email', 'badge'], rules)
    expect(columns.slice(2)).toEqual([
      { index: 2, header: 'WORK PHONE', field: 'email', attribute: null, by: 'mapping' },
      { index: 3, header: 'email', field: null, attribute: null, by: 'ignored' },
      { index: 4, header: 'badge', field: null, attribute: 'Badge number', by: 'attribute' },
    ])
    expect(absent).toEqual(['Gone'])
    expect(failures).toEqual([])
  })

  test('can make attributes of what nothing claims', () => {
    expect(third('Shoe size', mapping({}, { unclaimed: 'attribute' }))).toMatchObject({ by: 'attribute', attribute: 'Shoe size' })
  })

  test('can refuse what nothing claims, by name and with what it may be', () => {
    const { failures } = match(['Shoe size', 'Emial'], mapping({}, { unclaimed: 'refuse' }))
    expect(failures).toMatchObject([{ code: 'header.unclaimed', detail: { columns: '"Shoe size" (column C), "Emial" (column D)' } }])
    expect(failures[0]!.detail['advice']).toContain('Email by "Emial"')
  })

  test('that fills one field or attribute from two columns is refused', () => {
    expect(match(['A', 'B'], mapping({ A: 'email', B: 'email' })).failures).toMatchObject([{ code: 'header.duplicate' }])
    expect(match(['A', 'B'], mapping({ A: { attribute: 'X' }, B: { attribute: 'x' } })).failures).toMatchObject([{ code: 'header.duplicate' }])
  })

  test.each([
    ['Badge=externalId', { header: 'Badge', target: 'externalId' }],
    ['Badge No = External ID', { header: 'Badge No', target: 'externalId' }],
    ['a=b=ignore', { header: 'a=b', target: 'ignore' }],
    ['Shoe=attribute:Shoe size', { header: 'Shoe', target: { attribute: 'Shoe size' } }],
    ['Shoe', null], ['=email', null], ['Shoe=', null], ['Shoe=nonsense', null], ['Shoe=attribute:', null], ['Shoe=attribute:__proto__', null],
  ])('takes %j from the command line', (text, column) => {
    expect(parseSetColumn(text)).toEqual(column)
  })
})

test('no header is both taken and only proposed', () => {
  expect([...FIELDS_PROPOSED.keys()].filter(key => FIELD_BY_KEY.has(key))).toEqual([])
})

test('a header counts the same without case, accents, punctuation and marks', () => {
  expect(headerKey(' É-mail_Adresse (required) * ')).toBe('emailadresse')
  expect(headerKey('***')).toBe('')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (header) => {
    expect(headerKey(headerKey(header))).toBe(headerKey(header))
  }))
})

test('columns have the letters that a spreadsheet shows', () => {
  expect([0, 25, 26, 51, 52, 701, 702, 16_383].map(columnLetters)).toEqual(['A', 'Z', 'AA', 'AZ', 'BA', 'ZZ', 'AAA', 'XFD'])
})
