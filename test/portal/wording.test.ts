import { describe, expect, test } from 'vitest'
import { howLong, paragraphsOf } from '../../src/portal/form.ts'
import { de } from '../../src/portal/wording/de.ts'
import { en } from '../../src/portal/wording/en.ts'
import { es } from '../../src/portal/wording/es.ts'
import { fr } from '../../src/portal/wording/fr.ts'
import { wordingAccepted, wordingOf } from '../../src/portal/wording/words.ts'

/** All sentences by their place; those that take something get a word in every place. */
function sentencesOf(wording: object, at = ''): [string, string][] {
  return Object.entries(wording).flatMap(([name, value]: [string, unknown]): [string, string][] => {
    const place = `${at}${name}`
    if (typeof value === 'string') return [[place, value]]
    if (typeof value === 'function') return [[place, (value as (given: unknown) => string)(place.startsWith('faults.') ? { limit: '7', most: '7', word: 'Xy', minutes: 'Xy' } : 7)]]
    return sentencesOf(value as object, `${place}.`)
  })
}

const english = new Map(sentencesOf(en))

describe.each([de, es, fr])('$language', (wording) => {
  const sentences = sentencesOf(wording)

  test('says everything that is said in English, and says it itself', () => {
    expect(sentences.map(([place]) => place).toSorted()).toEqual([...english.keys()].toSorted())
    // The same in both languages.
    const alike = new Set(['shared.problemTitle', 'home.name', 'wait.minutes'])
    expect(sentences.filter(([place, text]) => text === english.get(place) && !alike.has(place))).toEqual([])
    expect(sentences.filter(([, text]) => text.trim() === '' || /undefined|null|\$\{/.test(text))).toEqual([])
  })

  test('ends its sentences', () => {
    const sentence = /\.(?:intro|text|sent|sentHint|sso|ssoNowhere|usernameHint|wrong)$|^(?:notes|faults)\./
    expect(sentences.filter(([place, text]) => sentence.test(place) && !text.endsWith('.'))).toEqual([])
  })
})

test('French has a no-break space before its tall marks', () => {
  expect(sentencesOf(fr).filter(([, text]) => / [;:!?»]|« |[^\u00a0\d\s](?<!https)[;!?]/.test(text))).toEqual([])
})

test('a browser’s language is taken where there is one, by its order and weight', () => {
  const asked = ['fr', 'de-AT,de;q=0.9', 'pt-BR, es;q=0.5, en;q=0.7', 'nl', '*', '', 'de;q=0, fr;q=0.1', undefined, 'constructor, __proto__', ';;;q=,,']
  expect(asked.map((header) => wordingAccepted(header).language)).toEqual(['fr', 'de', 'en', 'en', 'en', 'en', 'fr', 'en', 'en', 'en'])
  expect([wordingOf('es').language, wordingOf('toString').language]).toEqual(['es', 'en'])
})

test('waiting times are never told shorter than they are', () => {
  expect([1, 59.2, 90, 91, 120, 121, 900].map((seconds) => howLong(en, seconds))).toEqual(['1 second', '60 seconds', '90 seconds', '2 minutes', '2 minutes', '3 minutes', '15 minutes'])
})

test('a notice is parted where a line is empty, whatever ends its lines', () => {
  expect(paragraphsOf('One\nline.\r\n \r\nTwo.\n\n\n  Three.\n')).toEqual(['One\nline.', 'Two.', 'Three.'])
})
