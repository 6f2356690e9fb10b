import { de } from './de.ts'
import { en } from './en.ts'
import { es } from './es.ts'
import { fr } from './fr.ts'
import type { Wording } from './wording.ts'

const WORDINGS: Readonly<Record<string, Wording>> = { en, es, fr, de }

/** The wording of a language; English where there is none of it. */
export const wordingOf = (language: string): Wording => (Object.hasOwn(WORDINGS, language) ? WORDINGS[language]! : en)

/** The wording that a browser asks for by Accept-Language (RFC 9110, 12.5.4); English where it asks for none that there is. */
export function wordingAccepted(header: string | undefined): Wording {
  const asked = (header ?? '').slice(0, 500).split(',').map((part, order) => {
    const [range, ...parameters] = part.trim().toLowerCase().split(';')
    const quality = Number(/^\s*q=([01](?:\.\d{1,3})?)\s*$/.exec(parameters.join(';'))?.[1] ?? 1)
    return { language: range!.split('-')[0]!, quality, order }
  })
  const best = asked.filter(({ language, quality }) => quality > 0 && Object.hasOwn(WORDINGS, language)).toSorted((a, b) => b.quality - a.quality || a.order - b.order)[0]
  return best === undefined ? en : WORDINGS[best.language]!
}
