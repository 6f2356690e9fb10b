import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { Catalog, Entry } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import { explainIssue, type IssueCode } from '../rules/catalog.ts'
import { isNoRole } from '../rules/choices.ts'
import { catalogKey, nearestValue } from '../rules/nearest.ts'
import { checkUsername } from '../rules/usernames.ts'

/** A change that cannot be made of anybody, with a stable code and what to do. */
export class ChangeRefused extends Error {
  readonly code: string
  readonly hint: string | null
  constructor(code: string, message: string, hint: string | null = null) {
    super(message)
    this.name = 'ChangeRefused'
    this.code = code
    this.hint = hint
  }
}

/** What an operator wants of users, by the names of the catalog. "none" stands for nothing where the catalog has no such name. */
export type TypedChanges = {
  group?: readonly string[] | undefined
  addGroup?: readonly string[] | undefined
  removeGroup?: readonly string[] | undefined
  profile?: string | undefined
  license?: string | undefined
  role?: readonly string[] | undefined
  addRole?: readonly string[] | undefined
  removeRole?: readonly string[] | undefined
  username?: string | undefined
  company?: string | undefined
  businessUnit?: string | undefined
  department?: string | undefined
  location?: string | undefined
  /** "jobCode=Engineering;Sales" replaces that field's, "jobCode=" clears them. */
  lookup?: readonly string[] | undefined
}

/** Several of one kind: `replace` (null: they stay) goes before `add` and `remove`. */
export type ListChange = { replace: string[] | null; add: string[]; remove: string[] }

/** The same by ids; undefined leaves a thing as it is, null clears it. */
export type UserChanges = {
  groups: ListChange
  /** Held in general; those held at product instances stay. */
  roles: ListChange
  profile: string | null | undefined
  license: string | null | undefined
  username: string | undefined
  /** Required of every user (C6), so that it can be changed and not taken away. */
  security: Partial<Record<SecurityDimension, string>>
  lookups: { field: string; groups: string[] }[]
}

/** The options' names in sentences. */
const COLUMNS: Record<SecurityDimension, string> = { company: 'Company', businessUnit: 'Business Unit', department: 'Department', location: 'Location' }

type Fault = { code: string; message: string; hint: string }

/**
 * Looks up what was typed in the organization's catalog (spec B6), without regard to case and spaces. What was withdrawn can be taken
 * away, and is given to nobody.
 * @throws ChangeRefused with every unknown name at once, and the nearest known one as a hint
 */
export function resolveChanges(typed: TypedChanges, catalog: Catalog, settings: Settings): UserChanges {
  const faults: Fault[] = []
  const fault = (code: IssueCode, value: string, detail: Record<string, string | number>): void => void faults.push({ code, ...explainIssue(code, { value: JSON.stringify(value), ...detail }) })
  const find = (list: readonly Entry[], name: string, code: IssueCode, column: string, withdrawn = false): string | undefined => {
    const known = withdrawn ? list : list.filter((entry) => !entry.withdrawn)
    const found = known.find((entry) => catalogKey(entry.name) === catalogKey(name))
    if (!found) fault(code, name, { column, nearest: nearestValue(name, known.map((entry) => entry.name)) ?? '' })
    return found?.id
  }
  const findAll = (list: readonly Entry[], names: readonly string[], code: IssueCode, column: string, withdrawn = false): string[] =>
    [...new Set(names.flatMap((name) => find(list, name, code, column, withdrawn) ?? []))]
  const isNone = (list: readonly Entry[], name: string): boolean => name.trim() === '' || (catalogKey(name) === 'none' && !list.some((entry) => catalogKey(entry.name) === 'none'))
  const one = (list: readonly Entry[], name: string | undefined, code: IssueCode, column: string): string | null | undefined =>
    name === undefined ? undefined : isNone(list, name) ? null : find(list, name, code, column)
  const list = (entries: readonly Entry[], replace: readonly string[] | undefined, add: readonly string[] | undefined, remove: readonly string[] | undefined, code: IssueCode, column: string): ListChange => ({
    replace: replace === undefined ? null : replace.length === 1 && (isNone(entries, replace[0]!) || (code === 'role.unknown' && isNoRole(replace[0]!))) ? [] : findAll(entries, replace, code, column),
    add: findAll(entries, add ?? [], code, column),
    remove: findAll(entries, remove ?? [], code, column, true),
  })

  const changes: UserChanges = {
    groups: list(catalog.groups, typed.group, typed.addGroup, typed.removeGroup, 'group.unknown', 'User Group'),
    roles: list(catalog.roles, typed.role, typed.addRole, typed.removeRole, 'role.unknown', 'Role'),
    profile: one(catalog.profiles, typed.profile, 'profile.unknown', 'Profile'),
    license: one(catalog.licenses, typed.license, 'license.unknown', 'License'),
    username: typed.username === undefined ? undefined : (checkUsername(typed.username, settings.username.maxLength, (code, detail) => fault(code, typed.username!, detail ?? {})) ?? undefined),
    security: Object.fromEntries(SECURITY_DIMENSIONS.flatMap((dimension) => {
      const name = typed[dimension]
      const found = name === undefined ? undefined : find(catalog.securityGroups[dimension], name, 'security.unknown', COLUMNS[dimension])
      return found === undefined ? [] : [[dimension, found]]
    })),
    lookups: (typed.lookup ?? []).flatMap((text) => {
      const at = text.indexOf('=')
      const field = Object.keys(catalog.lookups).find((known) => catalogKey(known) === catalogKey(text.slice(0, Math.max(0, at))))
      if (field === undefined) {
        const known = Object.keys(catalog.lookups)
        faults.push({ code: 'lookup.unknown', message: `${JSON.stringify(text)} names no authorized lookup.`, hint: known.length === 0 ? 'The organization declares none: add them to "lookups" of its declaration.' : `Write one of ${known.map((name) => `${name}=…`).join(', ')}.` })
        return []
      }
      const names = text.slice(at + 1).split(';').map((name) => name.trim()).filter((name) => name !== '')
      return [{ field, groups: findAll(catalog.lookups[field]!, names, 'security.unknown', field) }]
    }),
  }
  if (faults.length > 0) throw new ChangeRefused(faults[0]!.code, faults.map(({ message }) => message).join('\n'), [...new Set(faults.map(({ hint }) => hint))].join(' '))
  return changes
}

/** Whether anything at all is to be changed. */
export function changesSomething({ groups, roles, profile, license, username, security, lookups }: UserChanges): boolean {
  const list = ({ replace, add, remove }: ListChange): boolean => replace !== null || add.length > 0 || remove.length > 0
  return list(groups) || list(roles) || profile !== undefined || license !== undefined || username !== undefined || Object.keys(security).length > 0 || lookups.length > 0
}
