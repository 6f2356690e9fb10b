import { catalogKey } from './nearest.ts'
import type { Report } from './problem.ts'

export type AccountKind = 'employee' | 'contact' | 'service representative'
export type DeliveryChoice = 'credentials' | 'invitation' | 'none'

const words = <Value>(entries: readonly (readonly [Value, string])[]): ReadonlyMap<string, Value> =>
  new Map(entries.flatMap(([value, list]) => list.split(', ').map(word => [word, value] as const)))

const YES_NO = words<boolean>([
  [true, 'yes, y, true, t, 1, on, x, sí, si, s, verdadero, oui, o, vrai, ja, j, wahr, waar'],
  [false, 'no, n, false, f, 0, off, non, faux, nein, falsch, nee, onwaar, falso'],
])

const ACCOUNT_KINDS = words<AccountKind>([
  ['employee', 'employee, employé, employée, empleado, empleada, mitarbeiter, mitarbeiterin, medewerker, werknemer'],
  ['contact', 'contact, contacto, kontakt, contactpersoon, ansprechpartner'],
  ['service representative', 'service representative, service-representative, service rep, servicerepresentative, service_representative, representante de servicio, représentant de service, servicevertreter, servicevertegenwoordiger'],
])

const DELIVERIES = words<DeliveryChoice>([
  ['credentials', 'credentials, credential, password, credenciales, identifiants, zugangsdaten, inloggegevens'],
  ['invitation', 'invitation, invite, invitación, einladung, uitnodiging'],
  ['none', 'none, no, no mail, nothing, ninguno, ninguna, aucun, aucune, keine, kein, geen'],
])

/** "No role assigned" (B5): the value that says on purpose that a user has no role. */
export const NO_ROLE = 'No role assigned'

/** Whether a cell says on purpose that the user has no role. */
export const isNoRole = (text: string): boolean => catalogKey(text) === 'no role assigned'

/** Yes or no, in the five languages of A4, as a word, a letter, or 1 and 0; null after an error. Blank is the caller's to judge. */
export function checkYesNo(text: string, report: Report): boolean | null {
  return choice(YES_NO, text, 'yes, no', report)
}

/** An account kind, in the five languages of A4; null after an error. */
export function checkAccountKind(text: string, report: Report): AccountKind | null {
  return choice(ACCOUNT_KINDS, text, 'employee, contact, service representative', report)
}

/** What a row wants sent, in the five languages of A4; null after an error. */
export function checkDelivery(text: string, report: Report): DeliveryChoice | null {
  return choice(DELIVERIES, text, 'credentials, invitation, none', report)
}

function choice<Value>(known: ReadonlyMap<string, Value>, text: string, allowed: string, report: Report): Value | null {
  const value = known.get(text) ?? known.get(catalogKey(text))
  if (value !== undefined) return value
  report('value.unknown', { allowed })
  return null
}
