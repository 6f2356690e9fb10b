import type { Settings } from '../organizations/declaration.ts'
import type { Catalog, Entry } from '../organizations/catalog.ts'
import { ISSUES, type IssueCode, type Severity } from '../rules/catalog.ts'
import { checkAccountKind, checkDelivery, checkYesNo, isNoRole } from '../rules/choices.ts'
import type { MatchedColumn, Mapping } from '../rules/columns.ts'
import { dateFormat, sendAtReader } from '../rules/dates.ts'
import { checkEmail, emailKey } from '../rules/emails.ts'
import { fieldNamed, type FieldDefinition, type FieldName } from '../rules/fields.ts'
import { checkName } from '../rules/names.ts'
import { catalogKey } from '../rules/nearest.ts'
import { checkPhone, checkPhoneNumberCell } from '../rules/phones.ts'
import type { IssueDetail, Report } from '../rules/problem.ts'
import { cleanLines, cleanText } from '../rules/text.ts'
import { checkUsername, splitUsername, usernameBase, usernameStem } from '../rules/usernames.ts'
import { knownCatalog, type KnownCatalog, type KnownValues } from './knownValues.ts'
import { BLANK, isBlankRow, rawText, readAttribute, readCell, UNREADABLE } from './readCell.ts'
import type { Cell, SourceRow } from './source.ts'
import { COLUMN_OF_FIELD, copyText, type StagedColumn } from './stagedRow.ts'

/** A row's problem as it is kept; its sentence is made from the catalog when it is shown. */
export type RowIssue = {
  row: number
  header: string | null
  field: string | null
  code: IssueCode
  severity: Severity
  value: string | null
  detail: IssueDetail | null
}

export type ValidationContext = {
  columns: readonly MatchedColumn[]
  mapping: Mapping | null
  settings: Settings
  catalog: Catalog
  /** The organization's IANA zone. */
  timeZone: string
  /** The database's clock when the import was begun; decides what has passed. */
  now: Temporal.Instant
  /** Fields of the header, for telling rows with too few or many. */
  headerFields: number
}

/** Characters of an offending value that are kept and shown. */
const SHOWN_VALUE = 200
const ATTRIBUTE_LIMIT = 4_000

type Reader = {
  column: MatchedColumn
  field: FieldDefinition
  slot: number
  values: Map<string, string> | null
  blank: 'keep' | 'clear' | 'refuse'
}

/**
 * Checks rows one by one and writes each as a line of COPY's text format (spec B).
 * Everything about the columns is worked out once; per row there is no allocation beyond the values themselves.
 */
export class RowValidator {
  /** The staging columns that a line holds, in its order. */
  readonly stagedColumns: StagedColumn[]
  readonly #context: ValidationContext
  readonly #known: KnownCatalog
  readonly #readers: Reader[]
  readonly #attributes: MatchedColumn[]
  readonly #sendAt: ReturnType<typeof sendAtReader>
  readonly #onIssue: (issue: RowIssue) => void
  readonly #slots: Map<StagedColumn, number>
  readonly #values: (string | null)[]
  readonly #report: Report
  #row = 0
  #rejected = false
  /** The row's product or customer is not known, so that nothing can be said of its tenants and worksites. */
  #unknownPlaces = false
  #reader: Reader | null = null
  #header: string | null = null
  #text: string | null = null

  constructor(context: ValidationContext, onIssue: (issue: RowIssue) => void) {
    this.#context = context
    this.#known = knownCatalog(context.catalog)
    this.#onIssue = onIssue
    const fields = context.columns.filter((column) => column.field !== null)
    this.#attributes = context.columns.filter((column) => column.attribute !== null)
    const has = (name: FieldName): boolean => fields.some((column) => column.field === name)
    this.stagedColumns = ['row', 'verdict', ...fields.map((column) => COLUMN_OF_FIELD[column.field!]), 'username_base', 'username_stem']
    if (has('username')) this.stagedColumns.push('username_number')
    if (has('email')) this.stagedColumns.push('email_key')
    if (has('roles')) this.stagedColumns.push('no_role')
    if (this.#attributes.length > 0) this.stagedColumns.push('attributes')
    if (Object.values(context.mapping?.blank ?? {}).includes('clear')) this.stagedColumns.push('clears')
    this.#slots = new Map(this.stagedColumns.map((column, slot) => [column, slot]))
    this.#values = this.stagedColumns.map(() => null)
    this.#readers = fields.map((column) => ({
      column,
      field: fieldNamed(column.field!),
      slot: this.#slots.get(COLUMN_OF_FIELD[column.field!])!,
      values: valueMapping(context.mapping, column.field!),
      blank: context.mapping?.blank?.[column.field!] ?? 'keep',
    }))
    const format = context.mapping?.dateFormat === undefined ? null : dateFormat(context.mapping.dateFormat)
    this.#sendAt = sendAtReader({ zone: context.timeZone, format, now: context.now })
    this.#report = (code, detail) => this.#tell(code, detail)
  }

  /** The row as a line for COPY, without its newline. Problems go to `onIssue`; a row with an error is staged as rejected. */
  validate(row: SourceRow): string {
    this.#row = row.row
    this.#rejected = false
    this.#unknownPlaces = false
    const values = this.#values
    values.fill(null)
    values[0] = String(row.row)
    if (isBlankRow(row.cells)) {
      values[1] = 'b'
      return values.map(copyText).join('\t')
    }
    if (row.fieldCount) this.#rowProblem(row.fieldCount === 'too_few' ? 'row.too_few_fields' : 'row.too_many_fields', { fields: row.cells.length, expected: this.#context.headerFields })
    for (const reader of this.#readers) this.#read(reader, row.cells[reader.column.index])
    if (this.#attributes.length > 0) this.#readAttributes(row.cells)
    this.#resolvePlaces()
    if (!this.#rejected) this.#makeUsername()
    values[1] = this.#rejected ? 'r' : 'o'
    let line = values[0]
    for (let slot = 1; slot < values.length; slot++) line += '\t' + copyText(values[slot]!)
    return line
  }

  #tell(code: IssueCode, detail: IssueDetail = {}): void {
    const severity = ISSUES[code].severity
    if (severity === 'error') this.#rejected = true
    if (code === 'product.unknown' || code === 'customer.unknown') this.#unknownPlaces = true
    this.#onIssue({
      row: this.#row,
      header: this.#header,
      field: this.#reader?.field.name ?? null,
      code,
      severity,
      value: this.#text === null ? null : this.#text.slice(0, SHOWN_VALUE),
      detail: Object.keys(detail).length > 0 ? detail : null,
    })
  }

  #rowProblem(code: IssueCode, detail: IssueDetail): void {
    this.#at(null, null, null)
    this.#tell(code, detail)
  }

  #at(reader: Reader | null, header: string | null, text: string | null): void {
    this.#reader = reader
    this.#header = header
    this.#text = text
  }

  #read(reader: Reader, cell: Cell | undefined): void {
    this.#at(reader, reader.column.header, rawText(cell))
    const read = readCell(cell, reader.field, this.#report)
    if (read === UNREADABLE) return
    if (read === BLANK || (reader.field.multiple && SEPARATORS_ALONE.test(read))) {
      this.#blank(reader)
      return
    }
    const text = reader.values?.get(catalogKey(read)) ?? read
    this.#values[reader.slot] = this.#check(reader, text, typeof cell === 'object' && cell !== null && cell.type === 'number')
  }

  #blank(reader: Reader): void {
    if (reader.field.required) this.#tell('name.required')
    else if (reader.blank === 'refuse') this.#tell('value.blank_refused')
    else if (reader.blank === 'clear') {
      const slot = this.#slots.get('clears')!
      const column = COLUMN_OF_FIELD[reader.field.name]
      this.#values[slot] = this.#values[slot] ? `${this.#values[slot].slice(0, -1)},${column}}` : `{${column}}`
    }
  }

  /** The value as it is staged, or null after an error. */
  #check(reader: Reader, text: string, fromNumber: boolean): string | null {
    const report = this.#report
    const { settings } = this.#context
    switch (reader.field.name) {
      case 'firstName':
      case 'lastName':
        return checkName(text, report)
      case 'email': {
        const email = checkEmail(text, report)
        if (email !== null) this.#values[this.#slots.get('email_key')!] = emailKey(email)
        return email
      }
      case 'phone':
        return fromNumber ? checkPhoneNumberCell(text, settings.phone, report) : checkPhone(text, settings.phone, report)
      case 'externalId':
        return this.#plainText(text, reader.field.limit)
      case 'username':
        return this.#username(text)
      case 'systemUser':
        return boolText(checkYesNo(text, report))
      case 'accountKind':
        return checkAccountKind(text, report)
      case 'delivery':
        return this.#deliveryChoice(text)
      case 'sendAt':
        return this.#sendAt(text, report)
      case 'groups':
        return this.#list(text, this.#known.groups, 'group.unknown')
      case 'roles':
        return this.#roles(text)
      case 'product':
        return this.#list(text, this.#known.products, 'product.unknown')
      case 'profile':
        return this.#one(text, this.#known.profiles, 'profile.unknown')
      case 'license':
        return this.#one(text, this.#known.licenses, 'license.unknown')
      case 'company':
      case 'businessUnit':
      case 'department':
      case 'location':
        return this.#one(text, this.#known[reader.field.name], 'security.unknown')
      case 'lookups':
        return this.#lookups(text)
      case 'customer':
        return this.#one(text, this.#known.customers, 'customer.unknown')
      case 'tenant':
      case 'worksite':
      case 'contactRole':
        // They belong to a product or customer of the same row, which may stand further right: see #resolvePlaces.
        return text
    }
  }

  #plainText(text: string, limit: number, rule = cleanText): string | null {
    const clean = rule(text, this.#report)
    if (clean === null || clean === '') return null
    if (clean.length <= limit) return clean
    this.#tell('cell.too_long', { length: clean.length, limit })
    return null
  }

  #username(text: string): string | null {
    const username = checkUsername(text, this.#context.settings.username.maxLength, this.#report)
    if (username === null) return null
    const { stem, number } = splitUsername(username)
    this.#values[this.#slots.get('username_stem')!] = stem
    this.#values[this.#slots.get('username_number')!] = String(number)
    return username
  }

  #deliveryChoice(text: string): string | null {
    const choice = checkDelivery(text, this.#report)
    if (choice === null || choice === 'none' || !this.#context.settings.login.sso) return choice
    this.#tell('delivery.sso')
    return 'none'
  }

  #one(text: string, known: KnownValues<Entry>, code: IssueCode): string | null {
    const entry = known.find(text)
    if (entry) return entry.id
    this.#tell(code, { nearest: known.nearest(text) })
    return null
  }

  /** Several values parted by ; as an array of ids, each once. */
  #list(text: string, known: KnownValues<Entry>, code: IssueCode): string | null {
    if (!text.includes(';')) {
      const id = this.#one(text, known, code)
      return id === null ? null : `{${id}}`
    }
    const ids = new Set<string>()
    for (const part of parts(text)) {
      this.#text = part
      const id = this.#one(part, known, code)
      if (id !== null) ids.add(id)
    }
    return `{${[...ids].join(',')}}`
  }

  #roles(text: string): string | null {
    if (isNoRole(text)) {
      this.#values[this.#slots.get('no_role')!] = 't'
      return null
    }
    const seen = new Set<string>()
    for (const part of parts(text)) {
      this.#text = part
      const id = this.#one(part, this.#known.roles, 'role.unknown')
      if (id === null) continue
      if (seen.has(id)) this.#tell('role.duplicate')
      seen.add(id)
    }
    return `{${[...seen].join(',')}}`
  }

  #lookups(text: string): string | null {
    const ids = new Set<string>()
    for (const part of parts(text)) {
      this.#text = part
      const found = this.#known.lookups.find(part)
      if ('id' in found) ids.add(found.id)
      else this.#tell(found.code, found.detail)
    }
    return `{${[...ids].join(',')}}`
  }

  /** Tenants belong to the row's products, worksites and contact roles to its customer. */
  #resolvePlaces(): void {
    for (const reader of this.#readers) {
      const text = this.#values[reader.slot]
      if (text === null || text === undefined) continue
      const { name } = reader.field
      if (name !== 'tenant' && name !== 'worksite' && name !== 'contactRole') continue
      this.#at(reader, reader.column.header, text)
      this.#values[reader.slot] = this.#unknownPlaces ? null : name === 'tenant' ? this.#tenants(text) : this.#placeAtCustomer(name, text)
    }
  }

  #placeAtCustomer(name: 'worksite' | 'contactRole', text: string): string | null {
    const customer = this.#value('customer_id')
    if (customer === null) {
      this.#tell('customer.required')
      return null
    }
    const known = (name === 'worksite' ? this.#known.worksites : this.#known.contactRoles).get(customer)!
    return name === 'worksite' ? this.#one(text, known, 'worksite.unknown') : this.#list(text, known, 'contact_role.unknown')
  }

  #tenants(text: string): string | null {
    const given = this.#value('product_ids')
    const named = given?.slice(1, -1).split(',') ?? this.#context.catalog.products.filter((product) => product.autoLink).map((product) => product.id)
    const ids = new Set<string>()
    for (const part of parts(text)) {
      this.#text = part
      const tenants = named.flatMap((product) => this.#known.tenants.get(product)?.find(part) ?? [])
      for (const tenant of tenants) ids.add(tenant.id)
      if (tenants.length > 0) continue
      if (given === null) this.#tell('product.required')
      else {
        const products = this.#context.catalog.products.filter(({ id }) => named.includes(id))
        const nearest = products.map(({ id }) => this.#known.tenants.get(id)?.nearest(part) ?? '').find((name) => name !== '') ?? ''
        this.#tell('tenant.unknown', { product: products.map(({ name }) => name).join(', '), nearest })
      }
    }
    return `{${[...ids].join(',')}}`
  }

  #value(column: StagedColumn): string | null {
    const slot = this.#slots.get(column)
    return slot === undefined ? null : (this.#values[slot] ?? null)
  }

  #readAttributes(cells: readonly Cell[]): void {
    let attributes: Record<string, string> | null = null
    for (const column of this.#attributes) {
      this.#at(null, column.header, rawText(cells[column.index]))
      const read = readAttribute(cells[column.index], this.#report)
      if (typeof read !== 'string') continue
      const text = this.#plainText(read, ATTRIBUTE_LIMIT, cleanLines)
      if (text !== null) (attributes ??= Object.create(null) as Record<string, string>)[column.attribute!] = text
    }
    if (attributes) this.#values[this.#slots.get('attributes')!] = JSON.stringify(attributes)
  }

  #makeUsername(): void {
    if (this.#value('wants_user') === 'f' || this.#value('username') !== null) return
    const { format, maxLength } = this.#context.settings.username
    const base = usernameBase(
      format,
      { first: this.#value('first_name') ?? '', last: this.#value('last_name') ?? '', email: this.#value('email'), externalId: this.#value('external_id') },
      maxLength,
    )
    this.#values[this.#slots.get('username_base')!] = base
    this.#values[this.#slots.get('username_stem')!] = usernameStem(base)
  }
}

/** No value at all, though not an empty cell. */
const SEPARATORS_ALONE = /^[;\s]*$/

const boolText = (value: boolean | null): string | null => (value === null ? null : value ? 't' : 'f')

const parts = (text: string): string[] => text.split(';').map((part) => part.trim()).filter((part) => part !== '')

function valueMapping(mapping: Mapping | null, field: FieldName): Map<string, string> | null {
  const values = mapping?.values?.[field]
  return values ? new Map(Object.entries(values).map(([from, to]) => [catalogKey(from), to])) : null
}
