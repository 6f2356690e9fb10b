import { domainToASCII, domainToUnicode } from 'node:url'

import type { IssueDetail, Report } from './problem.ts'
import { showCharacter, trimSpaces } from './text.ts'

/**
 * The one policy for e-mail addresses (B2), written down in docs/errors.md: what people have at work, not all that RFC 5322 allows.
 * Local part: dot-atoms of RFC 5321 in ASCII, 64 octets. Domain: at least two labels of letters, digits and inner hyphens
 * (RFC 1123), in ASCII form 253 octets, labels 63, the last one of two characters or more and no number. Address: 254 octets.
 */
const LIMITS = { address: 254, local: 64, domain: 253, label: 63 } as const

const ATOM = String.raw`[A-Za-z0-9!#$%&'*+/=?^_{|}~\x60-]`
const LABEL = String.raw`(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?`

/** An address that is stored as it stands. The local part's length is left to the code: one look is cheaper than a lookahead. */
const ORDINARY = new RegExp(String.raw`^${ATOM}+(?:\.${ATOM}+)*@(?:${LABEL}\.)+[a-z]{2,63}$`)

const STRANGE_LOCAL = new RegExp(String.raw`(?!${ATOM}|\.)[^]`, 'u')
const STRANGE_DOMAIN = /[^\p{L}\p{M}\p{Nd}.\-\u200c\u200d]/u
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufffd]/u

/**
 * An e-mail address as it is stored (B2): spaces around it removed, the local part as typed, the domain in lower case
 * and in its ASCII form; null where an error stops it. Exactly one problem is reported: the first that a reader would see.
 */
export function checkEmail(text: string, report: Report): string | null {
  if (text.length <= LIMITS.address && ORDINARY.test(text) && text.indexOf('@') <= LIMITS.local) return text
  return checkClosely(trimSpaces(text), report)
}

/**
 * What two addresses have in common when they are one person's mailbox: the whole stored address in lower case.
 * RFC 5321 lets a server tell capitals in the local part apart; none in use does, and one user gets one mail.
 */
export function emailKey(address: string): string {
  return address.toLowerCase()
}

/** A stored address as people read it: an IDN domain in its own script. */
export function showEmail(address: string): string {
  if (!address.includes('xn--')) return address
  const at = address.lastIndexOf('@')
  return `${address.slice(0, at)}@${domainToUnicode(address.slice(at + 1)) || address.slice(at + 1)}`
}

function checkClosely(text: string, report: Report): string | null {
  const fail = (...[code, detail]: Parameters<Report>): null => {
    report(code, detail)
    return null
  }
  const hidden = HIDDEN.exec(text)
  // Invisible characters in an address are not removed: what is left might be somebody else's address.
  if (hidden !== null) return fail('email.control_character', { character: showCharacter(hidden[0]) })
  const at = text.indexOf('@')
  if (at < 0) return fail('email.missing_at')
  if (holdsSeveral(text)) return fail('email.multiple_addresses')
  // "Name <address>" and quoted local parts are told by their first strange character, before their second @ is.
  const wrapped = /^"|</.exec(text)
  if (wrapped !== null) return fail('email.invalid_local_character', localFault(wrapped[0]))
  if (text.includes('@', at + 1)) return fail('email.multiple_at')

  const local = text.slice(0, at)
  const fault = faultOfLocal(local)
  if (fault !== null) return fail('email.invalid_local_character', fault)
  if (local.length > LIMITS.local) return fail('email.too_long', tooLong('the part before the @', local, 'local'))
  const domain = checkDomain(text.slice(at + 1), fail)
  if (domain === null) return null
  const address = `${local}@${domain}`
  return address.length > LIMITS.address ? fail('email.too_long', tooLong('the address', address, 'address')) : address
}

/** Whether two pieces, parted by what people part addresses with, hold an @ each. */
function holdsSeveral(text: string): boolean {
  if (/^"[^"]*"@/.test(text)) return false
  const pieces = text.includes('<') ? text.match(/<[^<>]*@/g) : text.split(/[\s,;|/]+/).filter(piece => piece.includes('@'))
  return pieces !== null && pieces.length > 1
}

const localFault = (character: string): IssueDetail => ({ character, fault: `holds ${showCharacter(character)}, which cannot stand there` })

function faultOfLocal(local: string): IssueDetail | null {
  if (local === '') return { character: '@', fault: 'is empty' }
  const strange = STRANGE_LOCAL.exec(local)
  if (strange !== null) return localFault(strange[0])
  if (local.startsWith('.')) return { character: '.', fault: 'begins with a dot' }
  if (local.endsWith('.')) return { character: '.', fault: 'ends with a dot' }
  if (local.includes('..')) return { character: '.', fault: 'has two dots in a row' }
  return null
}

const tooLong = (part: string, text: string, limit: keyof typeof LIMITS): IssueDetail => ({ part, length: text.length, limit: LIMITS[limit] })

/** The domain in its ASCII form and lower case, or null after an error. */
function checkDomain(domain: string, fail: (...problem: Parameters<Report>) => null): string | null {
  const invalid = (fault: string, character: string) => fail('email.invalid_domain_character', { character, fault })
  const strange = STRANGE_DOMAIN.exec(domain)
  if (strange !== null) return invalid(`holds ${showCharacter(strange[0])}, which cannot stand in a domain`, strange[0])
  if (!domain.includes('.')) return fail('email.missing_dot')
  if (domain.startsWith('.') || domain.endsWith('.') || domain.includes('..')) return fail('email.empty_label')
  const typed = domain.split('.')
  if ([...typed.at(-1)!].length < 2) return fail('email.tld_too_short')
  const edge = typed.find(label => label.startsWith('-') || label.endsWith('-'))
  if (edge !== undefined) return invalid(`has the label "${edge}", which begins or ends with a hyphen`, '-')
  const long = typed.find(label => label.length > LIMITS.label)
  if (long !== undefined) return fail('email.too_long', tooLong('a label of the domain', long, 'label'))
  if (domain.length > LIMITS.domain) return fail('email.too_long', tooLong('the domain', domain, 'domain'))
  if (/^\d+$/.test(typed.at(-1)!)) return invalid('ends in a number', typed.at(-1)!)

  const ascii = /[^a-z0-9.-]|(?:^|\.)xn--/.test(domain) ? domainToASCII(domain) : domain
  const label = ascii.split('.').find(label => label.length > LIMITS.label)
  if (label !== undefined) return fail('email.too_long', tooLong('a label of the domain', label, 'label'))
  // The mapping may have made something else of it: fullwidth letters, ligatures, a dot.
  if (!/^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?!\d+$)[a-z0-9-]{2,}$/.test(ascii)) return invalid('cannot be written as an international domain name', domain)
  return ascii.length > LIMITS.domain ? fail('email.too_long', tooLong('the domain', ascii, 'domain')) : ascii
}
