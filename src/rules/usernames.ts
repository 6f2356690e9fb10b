import anyAscii from 'any-ascii'

import type { Report } from './problem.ts'
import { showCharacter } from './text.ts'

/** What a username is made of (C1). Missing parts are left out with the separators around them. */
export type UsernameParts = { first: string; last: string; email: string | null; externalId: string | null }

/** Names that somebody could mistake for Muster's, the product's or the mail system's own; never given to a person. */
export const RESERVED_USERNAMES: ReadonlySet<string> = new Set([
  'abuse', 'admin', 'administrator', 'all', 'anonymous', 'api', 'default', 'everyone', 'guest', 'help', 'helpdesk', 'hostmaster', 'info', 'mail',
  'mailer-daemon', 'me', 'muster', 'no-reply', 'nobody', 'none', 'noreply', 'null', 'operator', 'owner', 'postmaster', 'public', 'root', 'security',
  'self', 'service', 'staff', 'superuser', 'support', 'sysadmin', 'system', 'test', 'undefined', 'webmaster', 'www',
])

/** What a person is called of whose parts nothing is left. */
const FALLBACK = 'user'
/** Put behind a reserved word to make a name of it. */
const BESIDE_RESERVED = '-user'
/** Characters kept free behind a base, for a number. */
const ROOM_FOR_NUMBER = 6

const PLACEHOLDER = /\{(\w*)\}/g
const PLACEHOLDERS = ['first', 'last', 'f', 'l', 'email', 'externalId']
const ORDINARY_PART = /^[a-z0-9]*$/
const ASCII = /^[ -~]*$/
const NUMBERED = /^(.*\D)([1-9]\d{0,8})$/s

/** What is wrong with a username format such as {first}.{last}, for a person to read; null where nothing is. */
export function usernameFormatFault(format: string): string | null {
  const names = [...format.matchAll(PLACEHOLDER)].map(match => match[1]!)
  const unknown = names.find(name => !PLACEHOLDERS.includes(name))
  if (unknown !== undefined) return `{${unknown}} is not known; use ${PLACEHOLDERS.map(name => `{${name}}`).join(', ')}`
  if (names.length === 0) return `it needs one of ${PLACEHOLDERS.map(name => `{${name}}`).join(', ')}`
  const strange = /[^a-z0-9._-]/.exec(format.replace(PLACEHOLDER, ''))
  return strange === null ? null : `it holds ${showCharacter(strange[0])}; beside the placeholders, lower-case letters, digits and . _ - are allowed`
}

/**
 * The username that a person would get if nobody else had it (C1): transliterated, lower case, of a-z 0-9 . _ - alone
 * (and @ + where the format holds {email}), no separator doubled or at an end, no reserved word.
 * At most maxLength - 6 characters, so that a number fits behind it. Same parts, same name.
 */
export function usernameBase(format: string, parts: UsernameParts, maxLength: number, reserved: ReadonlySet<string> = RESERVED_USERNAMES): string {
  const limit = Math.max(1, maxLength - ROOM_FOR_NUMBER)
  const filled = format.replace(PLACEHOLDER, (_, name: string) => partNamed(name, parts))
  const name = trimSeparators(trimSeparators(filled).slice(0, limit)) || FALLBACK.slice(0, limit)
  if (!reserved.has(name)) return name
  return trimSeparators(name.slice(0, Math.max(1, limit - BESIDE_RESERVED.length))) + BESIDE_RESERVED.slice(0, limit - 1)
}

/**
 * What stands before the number when a base is taken: john -> john2, and a base that ends in a digit gets a hyphen
 * between, r2d2 -> r2d2-2, so that no number can be read into it.
 */
export function usernameStem(base: string): string {
  return /\d$/.test(base) ? `${base}-` : base
}

/** The n-th username on a base: the base itself, then stem and number. */
export function numberedUsername(base: string, number: number): string {
  return number === 1 ? base : `${usernameStem(base)}${number}`
}

/**
 * Takes a username apart into what numberedUsername put together, so that typed names count in the same row of numbers:
 * john2 -> john and 2. A name that does not end in a number of 2 or more (at most nine digits, no leading zero) is a first one:
 * john -> john and 1, john1 -> john1- and 1. Two names never give the same stem and number.
 */
export function splitUsername(name: string): { stem: string; number: number } {
  const parts = NUMBERED.exec(name)
  const number = Number(parts?.[2] ?? 1)
  return number === 1 ? { stem: usernameStem(name), number: 1 } : { stem: parts![1]!, number }
}

/** A username typed in a file or form (C1), as it is stored: lower case; null after an error. Whether it is free is not known here. */
export function checkUsername(typed: string, maxLength: number, report: Report, reserved: ReadonlySet<string> = RESERVED_USERNAMES): string | null {
  const name = typed.trim().toLowerCase()
  const reason = faultOf(name, maxLength, reserved)
  if (reason === null) return name
  report('username.invalid', { reason })
  return null
}

function faultOf(name: string, maxLength: number, reserved: ReadonlySet<string>): string | null {
  if (name === '') return 'it is empty'
  const strange = /[^a-z0-9._@+-]/u.exec(name)
  if (strange !== null) return `it holds ${showCharacter(strange[0])}`
  if (name.length > maxLength) return `it has ${name.length} characters, ${maxLength} are allowed`
  if (!/^[a-z0-9_]/.test(name) || !/[a-z0-9_]$/.test(name)) return 'it begins or ends with a separator'
  if (/[.@+-]{2}/.test(name)) return 'it has two separators in a row'
  return reserved.has(name) ? 'it is reserved' : null
}

function partNamed(name: string, parts: UsernameParts): string {
  switch (name) {
    case 'first': return plain(parts.first)
    case 'last': return plain(parts.last)
    case 'f': return plain(parts.first).slice(0, 1)
    case 'l': return plain(parts.last).slice(0, 1)
    case 'email': return (parts.email ?? '').toLowerCase().replace(/[^a-z0-9._@+-]+/g, '')
    case 'externalId': return plain(parts.externalId ?? '')
    default: return ''
  }
}

function plain(text: string): string {
  if (ORDINARY_PART.test(text)) return text
  const ascii = ASCII.test(text) ? text : anyAscii(text.normalize('NFC'))
  return trimSeparators(ascii.toLowerCase().replace(/[^a-z0-9._-]+/g, ''))
}

/** Nothing to trim in what most names become. */
const TRIMMED = /^[a-z0-9]+(?:[._@+-][a-z0-9]+)*$/

const trimSeparators = (text: string): string => TRIMMED.test(text) ? text : text.replace(/([._@+-])[._@+-]+/g, '$1').replace(/^[._@+-]+|[._@+-]+$/g, '')
