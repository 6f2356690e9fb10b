import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { variablesOf } from '../../src/templates/purposes.ts'
import { compileTemplate, loadTemplates, render, renderTemplate, TemplateRefused, VariableRefused } from '../../src/templates/render.ts'
import { languageFor } from '../../src/templates/source.ts'
import { lettersIn, PURPOSE_NAMES } from './letters.ts'

const templates = await loadTemplates()
const { credentials, invitation } = lettersIn('en')
const OVERRIDE = '\u202e'

const refusalOf = (run: () => unknown): VariableRefused => {
  try {
    run()
  } catch (error) {
    if (error instanceof VariableRefused) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a value is inert', () => {
  test('{{x}} in a name is mailed as it stands', () => {
    const { text, html } = render(templates, 'credentials', 'en', { ...credentials, firstName: '{{x}}', lastName: '{{password}}' })
    expect(text).toContain('Hello {{x}} {{password}},')
    expect(html).toContain('Hello {{x}} {{password}},')
  })

  test('markup in a name is shown, not run', () => {
    const { text, html } = render(templates, 'invitation', 'en', { ...invitation, firstName: '<b>Ana</b>', organization: '"><script>alert(1)</script>' })
    expect(text).toContain('Hello <b>Ana</b> ')
    expect(html).toContain('Hello &lt;b&gt;Ana&lt;/b&gt; ')
    expect(html).not.toMatch(/<script|<b>/)
  })

  test.each(PURPOSE_NAMES)('no value of %s adds a tag, a quote or a line to HTML and subject', (purpose) => {
    const plain = lettersIn('en')[purpose]
    const names = Object.entries(variablesOf(purpose)).flatMap(([name, { kind, ...rest }]) => (kind === 'text' && !('secret' in rest) ? [name] : []))
    const others: object = { failureMessage: 'x', failureHint: 'x' }
    const count = (html: string): string => html.replace(/[^<>"'\n]+/g, '')
    const shape = count(render(templates, purpose, 'en', { ...plain, ...others }).html)
    const nasty = fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '{', '}', '&', '=', '\r', '\n', '\u2028', '\0', OVERRIDE, '\ud800', 'a', ' ', 'é'), minLength: 1 })
    fc.assert(
      fc.property(fc.constantFrom(...names), nasty, (name, value) => {
        const { html, subject } = render(templates, purpose, 'en', { ...plain, ...others, [name]: `x${value}` })
        expect(count(html)).toBe(shape)
        expect(subject).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/)
        expect(subject.isWellFormed()).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('what turns the direction of reading is taken out of subject, text and HTML', () => {
    const mail = render(templates, 'invitation', 'en', { ...invitation, firstName: `An${OVERRIDE}a`, organization: `Ac\u2066me${OVERRIDE}` })
    for (const part of Object.values(mail)) expect(part).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/)
    expect(mail.subject).toBe('Acme invites you to set up your account')
  })

  test('a line break in a value cannot begin another header or paragraph', () => {
    const { subject, text } = render(templates, 'invitation', 'en', { ...invitation, organization: 'Acme\r\nBcc: all@acme.example' })
    expect(subject).toBe('Acme Bcc: all@acme.example invites you to set up your account')
    expect(text.split('\n').filter((line) => line.startsWith('Bcc'))).toEqual([])
  })

  test('a line break in a template\'s own subject becomes a space', () => {
    const own = compileTemplate('invitation', { subject: 'Join\r\n{{organization}}\n', text: 'x', html: 'x' })
    expect(renderTemplate(own, invitation).subject).toBe('Join Acme Staffing')
  })
})

describe('addresses', () => {
  test.each(['javascript:alert(1)', 'JavaScript:alert(1)', 'data:text/html,x', 'ftp://acme.example', '//acme.example', 'acme.example', 'https://', 'https://a b', 'https://acme.example/"onclick="x', 'https://acme.example/\n', ` https://acme.example`])(
    '%j is refused',
    (loginUrl) => {
      expect(refusalOf(() => render(templates, 'credentials', 'en', { ...credentials, loginUrl }))).toMatchObject({ code: 'template.variable_url', variable: 'loginUrl' })
    },
  )

  test('a query comes through whole', () => {
    const link = 'https://acme.example/join?t=a_b-c&l=de#x'
    const { text, html } = render(templates, 'invitation', 'en', { ...invitation, link })
    expect(text).toContain(`    ${link}\n`)
    expect(html).toContain('href="https://acme.example/join?t&#x3D;a_b-c&amp;l&#x3D;de#x"')
  })
})

describe('values', () => {
  test('a missing value is refused by its name', () => {
    expect(refusalOf(() => render(templates, 'credentials', 'en', { ...credentials, username: '' }))).toMatchObject({ code: 'template.variable_missing', variable: 'username' })
  })

  test('a value is never taken from a prototype', () => {
    const inherited = Object.create(invitation) as typeof invitation
    expect(refusalOf(() => render(templates, 'invitation', 'en', inherited)).code).toBe('template.variable_missing')
  })

  test('a password comes through to the letter, or not at all', () => {
    const password = `a<b>&"'{{x}}=\`é  z`
    const { text, html } = render(templates, 'credentials', 'en', { ...credentials, password })
    expect(text).toContain(`\n    ${password}\n`)
    expect(html).toContain('a&lt;b&gt;&amp;&quot;&#x27;{{x}}&#x3D;&#x60;é  z</span>')
    const refusal = refusalOf(() => render(templates, 'credentials', 'en', { ...credentials, password: `secret${OVERRIDE}` }))
    expect(refusal).toMatchObject({ code: 'template.variable_altered', variable: 'password' })
    expect(refusal.message).not.toContain('secret')
  })

  test('what is not given is left out together with what surrounds it', () => {
    const { text, html } = render(templates, 'credentials', 'en', { ...credentials, mustChange: false, supportName: null, supportEmail: undefined, supportPhone: '' })
    expect(`${text}${html}`).not.toMatch(/questions|mailto:|first time/)
    const reached = render(templates, 'credentials', 'en', { ...credentials, supportPhone: null })
    expect(reached.text).toContain('Help desk\nhelp@acme.example\n\nKind regards')
  })
})

test.each([['de', 'de'], ['de-CH', 'de'], ['ES_mx', 'es'], ['fr', 'fr'], ['nl', 'en'], ['', 'en'], [null, 'en'], ['constructor', 'en'], ['__proto__', 'en']])('language %j is written in %s', (tag, language) => {
  expect(languageFor(tag)).toBe(language)
  expect(render(templates, 'invitation', tag, invitation).html).toContain(`lang="${language}"`)
})

test('a template with an unknown variable is not compiled', () => {
  expect(() => compileTemplate('invitation', { subject: 'x', text: '{{fristName}}', html: 'x' })).toThrow(TemplateRefused)
  expect(() => compileTemplate('invitation', { subject: 'x', text: '{{fristName}}', html: 'x' })).toThrow(/fristName/)
})

test('the templates are read and compiled once', async () => {
  expect(await loadTemplates()).toBe(templates)
})
