import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { checkTemplate } from '../../src/templates/check.ts'
import { compiledFile, compileMail } from '../../src/templates/compile.ts'
import { checkPublication } from '../../src/templates/publication.ts'
import { PURPOSES, variablesOf } from '../../src/templates/purposes.ts'
import { loadTemplates, render } from '../../src/templates/render.ts'
import { defaultSource, WORDINGS } from '../../src/templates/source.ts'
import type { Language } from '../../src/templates/source.ts'
import { alerts, endings, lettersIn, PURPOSE_NAMES } from './letters.ts'

const LANGUAGES = Object.keys(WORDINGS) as Language[]
const each = LANGUAGES.flatMap((language) => PURPOSE_NAMES.map((purpose) => ({ language, purpose })))
const templates = await loadTemplates()
const skeletons = async (purpose: string): Promise<string> =>
  (await Promise.all(['subject.hbs', 'text.hbs', 'html.hbs'].map((file) => readFile(new URL(`../../src/templates/${purpose}/${file}`, import.meta.url), 'utf8')))).join('\n')

test('every purpose of the catalog is tested here', () => {
  expect(Object.keys(PURPOSES)).toEqual(PURPOSE_NAMES)
})

describe.each(each)('$purpose in $language', ({ language, purpose }) => {
  test('reads as it did', async () => {
    const mail = render(templates, purpose, language, lettersIn(language)[purpose])
    await expect(`Subject: ${mail.subject}\n\n${mail.text}`).toMatchFileSnapshot(`snapshots/${purpose}.${language}.txt`)
    await expect(mail.html).toMatchFileSnapshot(`snapshots/${purpose}.${language}.html`)
  })

  test('passes the check that an organization\'s own template has to pass', async () => {
    const source = await defaultSource(purpose, language)
    expect(checkTemplate(purpose, source)).toEqual([])
    expect(checkPublication(purpose, source)).toEqual([])
  })

  test('uses every variable that it has, and no sentence holds markup', async () => {
    const source = await defaultSource(purpose, language)
    const unused = Object.keys(variablesOf(purpose)).filter((name) => !new RegExp(`\\{\\{(#(if|each|unless) |else if )?${name}\\}\\}`).test(source.text))
    expect(unused).toEqual([])
    for (const sentence of Object.values(WORDINGS[language][purpose])) expect(sentence).not.toMatch(/[<>&]/)
  })

  test('names its language, reaches for nothing outside, and stays far below the size at which mail programs cut', () => {
    const { html } = render(templates, purpose, language, lettersIn(language)[purpose])
    expect(html).toContain(`<html lang="${language}" dir="ltr"`)
    expect(html).not.toMatch(/@import|<link|<script|<img|url\(/i)
    const addresses = [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, address]) => address)
    expect(new Set(addresses).size).toBeLessThanOrEqual(3)
    expect(Buffer.byteLength(html)).toBeLessThan(60_000)
    // Some programs drop a style block above 8,192 characters.
    for (const [block] of html.matchAll(/<style[\s\S]*?<\/style>/g)) expect(block.length).toBeLessThan(8_192)
  })

  test('shows neither password nor link among the first words that a list of mails shows', () => {
    const { html, subject } = render(templates, purpose, language, lettersIn(language)[purpose])
    const seen = html.slice(html.indexOf('<body')).replace(/<!--[\s\S]*?-->/g, '').replace(/<[^>]+>/g, '').trim().slice(0, 150)
    for (const secret of ['kR7-vTq9', 'https://']) {
      expect(seen).not.toContain(secret)
      expect(subject).not.toContain(secret)
    }
  })
})

describe.each(LANGUAGES)('wording in %s', (language) => {
  test.each(PURPOSE_NAMES)('of %s is used to the last sentence', async (purpose) => {
    const used = await skeletons(purpose)
    expect(Object.keys(WORDINGS[language][purpose]).filter((name) => !used.includes(`[[${name}]]`))).toEqual([])
  })

  test('says each way in which an import can end in its own words, in subject, text and HTML', () => {
    const mails = Object.values(endings(language)).map((ending) => render(templates, 'operatorSummary', language, ending))
    expect(new Set(mails.map(({ subject }) => subject)).size).toBe(5)
    expect(new Set(mails.map(({ text }) => text.split('\n')[0])).size).toBe(5)
    expect(new Set(mails.map(({ html }) => /<h1[^>]*>([^<]*)</.exec(html)?.[1])).size).toBe(5)
  })

  test.each(['feedAlert', 'feedAllClear'] as const)('says each kind of %s in its own words, in subject, text and HTML', (purpose) => {
    const mails = alerts(purpose, language).map((alert) => render(templates, purpose, language, alert as never))
    expect(mails).toHaveLength(10)
    expect(new Set(mails.map(({ subject }) => subject)).size).toBe(10)
    expect(new Set(mails.map(({ text }) => text.split('\n')[0])).size).toBe(10)
    expect(new Set(mails.map(({ html }) => /<h1[^>]*>([^<]*)</.exec(html)?.[1])).size).toBe(10)
  })

  test('says loudly that an import changed nothing, and what refused a file', () => {
    const { failed, nothing, done } = endings(language)
    const words = WORDINGS[language].operatorSummary
    expect(render(templates, 'operatorSummary', language, nothing!).text).toContain(`!! ${words.nothing}`)
    expect(render(templates, 'operatorSummary', language, nothing!).html).toContain(words.nothing)
    expect(render(templates, 'operatorSummary', language, done!).html).not.toContain(words.nothing)
    const { text, html } = render(templates, 'operatorSummary', language, failed!)
    expect(text).toContain('!! The workbook is protected with a password.\n   Open it')
    expect(html).toContain('The workbook is protected with a password.')
    expect(text).not.toContain(words.rowsHeading)
  })
})

describe.each(LANGUAGES.filter((language) => language !== 'en'))('%s', (language) => {
  test.each(PURPOSE_NAMES)('leaves no sentence of %s in English', (purpose) => {
    const english: Readonly<Record<string, string>> = WORDINGS.en[purpose]
    const left = Object.entries(WORDINGS[language][purpose]).filter(([name, sentence]) => sentence === english[name] && sentence !== 'Import')
    expect(left).toEqual([])
  })
})

test.each(PURPOSE_NAMES)('html.hbs of %s is what its MJML compiles to (node src/templates/compile.ts)', async (purpose) => {
  expect(await readFile(compiledFile(purpose), 'utf8')).toBe(await compileMail(purpose))
})
