import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkTemplate, TEMPLATE_PROBLEMS } from '../../src/templates/check.ts'
import { compileTemplate, renderTemplate } from '../../src/templates/render.ts'
import { lettersIn } from './letters.ts'

const html = (source: string) => checkTemplate('operatorSummary', { subject: 'x', text: 'x', html: source })
const text = (source: string) => checkTemplate('operatorSummary', { subject: 'x', text: source, html: 'x' })
const codes = (problems: ReturnType<typeof html>) => problems.map(({ code, variable }) => (variable === undefined ? code : `${code} ${variable}`))

test('{{fristName}} is named with the variable that was meant, the part and the line', () => {
  const problems = checkTemplate('credentials', { subject: 'Hello', text: 'Hello\n{{lastName}},\n{{fristName}}!', html: '<p>\n{{fristName}}</p>' })
  expect(problems).toEqual([
    { code: 'template.unknown_variable', part: 'text', line: 3, variable: 'fristName', nearest: 'firstName', message: 'There is no variable named fristName. Did you mean firstName?' },
    { code: 'template.unknown_variable', part: 'html', line: 2, variable: 'fristName', nearest: 'firstName', message: 'There is no variable named fristName. Did you mean firstName?' },
  ])
})

test('what is like nothing known gets no proposal', () => {
  expect(text('{{zzzzzzzz}}')[0]).not.toHaveProperty('nearest')
})

describe('names', () => {
  test.each([
    ['{{fileName}} {{#if failed}}{{failureMessage}}{{else if cancelled}}-{{else}}+{{/if}}{{! a note }}', []],
    ['{{#each issues}}{{@index}} {{row}} {{this.message}} {{../fileName}}{{#if @last}}.{{/if}}{{else}}-{{/each}}', []],
    ['{{#unless nothingChanged}}{{created}}{{/unless}}', []],
    ['{{row}}', ['template.unknown_variable row']],
    ['{{#each issues}}{{fileName}}{{/each}}', ['template.unknown_variable fileName']],
    ['{{#each issues}}{{/each}}{{@index}}', ['template.unknown_variable @index']],
    ['{{@root.fileName}}', ['template.unknown_variable @root.fileName']],
    ['{{../fileName}}', ['template.unknown_variable ../fileName']],
    ['{{fileName.length}}', ['template.unknown_variable fileName.length']],
    ['{{constructor}} {{__proto__}} {{toString}}', ['template.unknown_variable constructor', 'template.unknown_variable __proto__', 'template.unknown_variable toString']],
    ['{{this}}', ['template.unknown_variable this']],
    ['{{"fileName"}}', ['template.unknown_variable fileName']],
    ['{{#if fialed}}x{{/if}}', ['template.unknown_variable fialed']],
    ['{{#each isues}}x{{/each}}', ['template.unknown_variable isues']],
    ['{{issues}} {{failed}}', ['template.not_printable issues', 'template.not_printable failed']],
    ['{{#each fileName}}x{{/each}}', ['template.not_a_list fileName']],
    ['{{#each issues as |issue|}}{{/each}}', ['template.unknown_variable as |issue|']],
    ['{{shout fileName}}', ['template.unknown_helper shout']],
    ['{{fileName size=3}}', ['template.unknown_helper fileName']],
    ['{{lookup issues "0"}} {{log fileName}}', ['template.unknown_helper lookup', 'template.unknown_helper log']],
    ['{{#with issues}}{{/with}}', ['template.unknown_helper with']],
    ['{{#issues}}{{/issues}}', ['template.unknown_helper issues']],
    ['{{#if (eq read "0")}}{{/if}}', ['template.unknown_helper eq']],
    ['{{> footer}}', ['template.unknown_partial footer']],
    ['{{#> footer}}{{/footer}}', ['template.unknown_partial footer']],
    ['{{#*inline "a"}}{{/inline}}', ['template.unknown_helper inline']],
  ])('%s', (source, expected) => {
    expect(codes(text(source))).toEqual(expected)
  })

  test('the nearest name of an outer scope is proposed with its path', () => {
    expect(text('{{#each issues}}{{fileName}}{{/each}}')[0]?.nearest).toBe('../fileName')
  })
})

describe('syntax', () => {
  test.each([
    ['a\nb\n{{#if failed}}', 3],
    ['a\n{{fileName', 2],
    ['a\n{{/if}}', 2],
    ['{{#if failed}}\n{{/each}}', 1],
    ['{{fileName}}}', 1],
    ['\n\n{{#if}}x{{/if}}', 3],
  ])('%j is refused with its line', (source, line) => {
    expect(text(source)).toMatchObject([{ code: 'template.syntax', part: 'text', line }])
  })
})

describe('HTML', () => {
  test.each([
    ['<p title="{{fileName}}">{{fileName}}</p><!-- {{fileName}} -->', []],
    ["<a href='{{consoleUrl}}?from={{importId}}'>x</a>", []],
    ['<a href="https://acme.example/help">x</a><a href="mailto:{{fileName}}">x</a><img src="https://acme.example/logo.png" alt="{{fileName}}">', []],
    ['<img src="{{consoleUrl}}/logo.png?{{importId}}">', []],
    ['<a href="https://acme.example/{{importId}}">x</a>', ['template.foreign_link importId']],
    ['<a href="https://acme.example/?to={{consoleUrl}}">x</a>', ['template.foreign_link consoleUrl']],
    ['<a href="//acme.example/{{importId}}">x</a>', ['template.foreign_link importId']],
    ['<a href="{{#if failed}}{{else}}https://acme.example/{{/if}}{{importId}}">x</a>', ['template.foreign_link importId']],
    ['<a href="{{#if failed}}{{else}}javascript:x({{/if}}{{consoleUrl}}">x</a>', ['template.unsafe_link consoleUrl', 'template.unsafe_link']],
    ['<img src="https://acme.example/?{{importId}}">', ['template.foreign_image importId']],
    ['<td background="https://acme.example/?{{importId}}">', ['template.foreign_image importId']],
    ['<a {{#if failed}}class="red"{{else}}class="green"{{/if}}>x</a>', []],
    ['{{{fileName}}}', ['template.unescaped fileName']],
    ['{{& fileName}}', ['template.unescaped fileName']],
    ['<a href="{{fileName}}">x</a>', ['template.unsafe_link fileName']],
    ['<a href="{{importId}}{{consoleUrl}}">x</a>', ['template.unsafe_link importId']],
    ['<a href="java{{fileName}}">x</a>', ['template.unsafe_link fileName']],
    ['<a href=" javascript:x()">x</a>', ['template.unsafe_link']],
    ['<a href={{consoleUrl}}>x</a>', ['template.unsafe_place consoleUrl']],
    ['<p {{fileName}}>x</p>', ['template.unsafe_place fileName']],
    ['<{{fileName}}>', ['template.unsafe_place fileName']],
    ['<p style="color:{{fileName}}">x</p>', ['template.unsafe_place fileName']],
    ['<style>.a { color: {{fileName}} }</style>{{fileName}}', ['template.unsafe_place fileName']],
    ['<!--><a href={{consoleUrl}}>', ['template.unsafe_place consoleUrl']],
    ['<!--[if mso]><a href="{{fileName}}"></a><![endif]-->{{fileName}}', ['template.unsafe_link fileName']],
    ['<!-- --!><p {{fileName}}>', ['template.unsafe_place fileName']],
    ['<p onclick="{{fileName}}">x</p>', ['template.unsafe_place fileName', 'template.forbidden_element']],
    ['<SCRIPT>{{fileName}}</SCRIPT>', ['template.forbidden_element', 'template.unsafe_place fileName']],
    ['<form>', ['template.forbidden_element']],
    ['<a {{#if failed}}href="{{else}}title="{{/if}}{{fileName}}">', ['template.unsafe_place {{#if}}', 'template.unsafe_link fileName']],
  ])('%s', (source, expected) => {
    expect(codes(html(source))).toEqual(expected)
  })

  test('what makes HTML unsafe is harmless in plain text', () => {
    expect(text('{{{fileName}}} <a href="{{fileName}}">')).toEqual([])
  })
})

test('every problem has a sentence, which says what is meant', () => {
  for (const { message } of [...html('<a href="{{fileName}}"><script>{{{read}}}{{nope}}'), ...text('{{#if')]) expect(message).not.toMatch(/\{(variable|reason|nearest)\}/)
  expect(Object.keys(TEMPLATE_PROBLEMS).every((code) => code.startsWith('template.'))).toBe(true)
})

test('whatever is written, a template is either refused with problems or renders', () => {
  const pieces = ['{{', '}}', '{{{', '}}}', '{{fileName}}', '{{#if failed}}', '{{else}}', '{{/if}}', '{{#each issues}}', '{{row}}', '{{/each}}', '{{../fileName}}', '<a href="', '">', '<p>', '@index', 'this', ' ', '\n', '<!--', '-->']
  const { operatorSummary } = lettersIn('en')
  let rendered = 0
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
      const source = { subject: 'x', text: parts.join(''), html: parts.join('') }
      if (checkTemplate('operatorSummary', source).length > 0) return
      expect(typeof renderTemplate(compileTemplate('operatorSummary', source), operatorSummary).html).toBe('string')
      rendered++
    }),
    { numRuns: 2_000 },
  )
  expect(rendered).toBeGreaterThan(0)
})
