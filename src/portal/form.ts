import type { Problem } from '../accounts/accessParts.ts'
import type { Fault } from './parts.ts'
import type { Wording } from './wording/wording.ts'

/** What was typed into a form's field; '' where it was not there. PostgreSQL's texts hold no NUL. */
export function typed(body: unknown, name: string): string {
  if (body === null || typeof body !== 'object' || !(name in body)) return ''
  const value = (body as Record<string, unknown>)[name]
  return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : ''
}

/** A field as field.hbs draws it. Passwords are never given back: `value` of such a field stays ''. */
export type Field = {
  id: string
  type: 'text' | 'password'
  label: string
  hint: string | null
  fault: string | null
  value: string
  autocomplete: 'username' | 'current-password' | 'new-password'
  /** Ids of what describes it: hint and fault. */
  describedBy: string | null
}

type Draft = Pick<Field, 'id' | 'type' | 'label' | 'autocomplete'> & { hint?: string; value?: string }

/** The fields of a form with the problems that belong to them. */
export function fieldsOf(drafts: readonly Draft[], faults: readonly Fault[]): Field[] {
  return drafts.map(({ hint = null, value = '', ...draft }) => {
    const fault = faults.find(({ field }) => field === draft.id)?.text ?? null
    const describedBy = [hint === null ? [] : `${draft.id}-hint`, fault === null ? [] : `${draft.id}-fault`].flat().join(' ') || null
    return { ...draft, hint, value: draft.type === 'password' ? '' : value, fault, describedBy }
  })
}

/** The two fields by which a new password is chosen; without a script nobody sees what they type, so it is typed twice. */
export const newPasswordFields = (words: Wording, length: number): Draft[] => [
  { id: 'password', type: 'password', label: words.shared.newPassword, autocomplete: 'new-password', hint: words.shared.passwordRule(length) },
  { id: 'repeat', type: 'password', label: words.shared.repeat, autocomplete: 'new-password' },
]

/** What can be seen to be wrong with a new password before anybody else is asked: nothing was typed, or not twice the same. */
export function repeatFault(words: Wording, password: string, repeat: string): Fault[] {
  if (password === '') return [{ field: 'password', text: words.faults['password.required']({}) }]
  return password === repeat ? [] : [{ field: 'repeat', text: words.faults['password.repeat']({}) }]
}

/** Problems that a service found, as sentences. `usernameLength` is the organization's limit. */
export function faultsOf(words: Wording, problems: readonly Problem[], usernameLength: number): Fault[] {
  return problems.map(({ field, code, detail = {} }) => ({ field, text: words.faults[code]({ ...detail, most: String(usernameLength), minutes: howLong(words, Number(detail['seconds'] ?? 0)) }) }))
}

/** Seconds as people say them, never less than they are: "40 seconds", "3 minutes". */
export const howLong = ({ wait }: Wording, seconds: number): string => (seconds <= 90 ? wait.seconds(Math.ceil(seconds)) : wait.minutes(Math.ceil(seconds / 60)))

/** The paragraphs of a text: parted where a line is empty. */
export const paragraphsOf = (text: string): string[] => text.split(/\r?\n[^\S\n]*\r?\n\s*/).map((part) => part.trim()).filter((part) => part !== '')

/** Where somebody is on the way to the account, in words and as bars of which so many are filled. */
export const stepOf = (text: string, at: 1 | 2 | 3): { text: string; bars: { on: boolean }[] } => ({ text, bars: [1, 2, 3].map((step) => ({ on: step <= at })) })
