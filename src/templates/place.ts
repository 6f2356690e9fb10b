/**
 * Where in HTML a value stands. Escaping makes a value inert between tags and inside quotes;
 * everywhere else it could still become markup, style or an address that runs.
 */

const LINKS = new Set(['href', 'src', 'action', 'formaction', 'background', 'poster', 'cite', 'data', 'srcset', 'xlink:href'])
const RAW = new Set(['script', 'style', 'textarea', 'xmp', 'iframe', 'noscript', 'plaintext'])
const FORBIDDEN = new Set(['script', 'iframe', 'object', 'embed', 'form', 'input', 'base', 'applet', 'frame', 'frameset', 'link', 'svg', 'math'])
/** Beyond these, what a value is put behind is some host's to read. */
const NO_HOST = /^(mailto:|tel:|cid:)/i
const FOREIGN = /^(https?:)?\/\//i
/** What a mail program fetches by itself. */
const FETCHED = new Set(['src', 'srcset', 'background', 'poster', 'data'])
const RUNNING_SCHEME = /^[\s\u0000-\u0020]*(javascript|vbscript|data)\s*:/i

/** How far an HTML text has been read. A plain value: a branch of {{#if}} goes on with a copy of it. */
export type Place =
  | { at: 'text' }
  | { at: 'comment' }
  | { at: 'raw'; element: string }
  | { at: 'name'; closing: boolean; element: string }
  | { at: 'tag'; element: string; closing: boolean }
  | { at: 'attribute'; element: string; attribute: string; ended: boolean }
  | { at: 'quoted'; element: string; attribute: string; quote: string; value: string; /** It begins with a variable that is an address. */ own?: true }
  | { at: 'unquoted'; element: string; attribute: string }

export type PlaceProblem = 'template.unsafe_place' | 'template.unsafe_link' | 'template.foreign_link' | 'template.foreign_image' | 'template.forbidden_element'

export const START: Place = { at: 'text' }

/** Whether two branches of a template end alike, so that what follows them stands in one place. */
export const samePlace = (a: Place, b: Place): boolean =>
  a.at === b.at &&
  ('element' in a ? a.element : '') === ('element' in b ? b.element : '') &&
  ('attribute' in a ? a.attribute : '') === ('attribute' in b ? b.attribute : '')

/** What a value that is put in here could do; null where it is harmless. `url`: the value is known to be an http or https address. */
export function judgePlace(place: Place, url: boolean): PlaceProblem | null {
  if (place.at === 'text' || place.at === 'comment') return null
  if (place.at !== 'quoted') return 'template.unsafe_place'
  if (place.attribute.startsWith('on') || place.attribute === 'style') return 'template.unsafe_place'
  if (!LINKS.has(place.attribute)) return null
  if (place.own || (place.value === '' && url) || NO_HOST.test(place.value)) return null
  return !FOREIGN.test(place.value) ? 'template.unsafe_link' : FETCHED.has(place.attribute) ? 'template.foreign_image' : 'template.foreign_link'
}

/** A value was put in: an address that begins with it is one of ours, see judgePlace. */
export const afterValue = (place: Place): Place => (place.at === 'quoted' && place.value === '' ? { ...place, value: 'https://', own: true } : place)

/** Of two places that branches lead to, the one in which more can go wrong with what follows. */
export const riskier = (a: Place, b: Place): Place => (riskOf(b) > riskOf(a) ? b : a)
const riskOf = (place: Place): number => (place.at !== 'quoted' || place.own ? 0 : RUNNING_SCHEME.test(place.value) ? 3 : place.value === '' ? 1 : 2)

/** Whether what stands here, and is followed by `next`, would leave with a tag to wherever it leads; the whole address of a link is where it belongs. */
export const leaksSecret = (place: Place, next: string): boolean =>
  place.at !== 'text' && place.at !== 'comment' && !(place.at === 'quoted' && place.attribute === 'href' && place.value === '' && next.startsWith(place.quote))

const isSpace = (character: string): boolean => /\s/.test(character)

/** Reads on through the template's own HTML. `report` gets a problem and the lines that came before it in `html`. */
export function readOn(from: Place, html: string, report: (problem: PlaceProblem, linesBefore: number) => void): Place {
  let place = from
  let line = 0
  for (let index = 0; index < html.length; index++) {
    const character = html[index] ?? ''
    if (character === '\n') line++
    if (place.at === 'text') {
      if (character !== '<') continue
      if (html.startsWith('<!--', index) && !html.startsWith('[if', index + 4)) {
        // <!--> and <!---> are comments already over.
        if (!/^-?>/.test(html.slice(index + 4, index + 6))) place = { at: 'comment' }
        index += 3
      } else if (index === html.length - 1 || /[a-z/!?]/i.test(html[index + 1] ?? '')) {
        // Also <!--[if …]>: Outlook reads on as if there were no comment.
        place = { at: 'name', closing: html[index + 1] === '/', element: '' }
        if (place.closing) index++
      }
    } else if (place.at === 'comment') {
      if (html.startsWith('-->', index) || html.startsWith('--!>', index)) place = START
    } else if (place.at === 'raw') {
      if (html.slice(index, index + 2 + place.element.length).toLowerCase() === `</${place.element}`) {
        place = { at: 'tag', element: place.element, closing: true }
        index += 1 + place.element.length
      }
    } else if (place.at === 'name' && !isSpace(character) && character !== '>' && character !== '/') {
      place = { ...place, element: place.element + character.toLowerCase() }
    } else if (place.at === 'name' || place.at === 'tag' || place.at === 'attribute') {
      if (place.at === 'name' && !place.closing && FORBIDDEN.has(place.element)) report('template.forbidden_element', line)
      place = readTag(place, character)
    } else if (place.at === 'quoted') {
      if (character !== place.quote) {
        place = { ...place, value: place.value + character }
        continue
      }
      if (LINKS.has(place.attribute) && RUNNING_SCHEME.test(place.value)) report('template.unsafe_link', line)
      if (place.attribute.startsWith('on')) report('template.forbidden_element', line)
      place = { at: 'tag', element: place.element, closing: false }
    } else if (isSpace(character)) place = { at: 'tag', element: place.element, closing: false }
    else if (character === '>') place = afterTag(place.element, false)
  }
  return place
}

function readTag(place: Place & { at: 'name' | 'tag' | 'attribute' }, character: string): Place {
  const { element } = place
  const closing = place.at === 'attribute' ? false : place.closing
  if (character === '>') return afterTag(element, closing)
  if (place.at !== 'attribute') {
    return isSpace(character) || character === '/' ? { at: 'tag', element, closing } : { at: 'attribute', element, attribute: character.toLowerCase(), ended: false }
  }
  if (!place.ended) {
    if (character === '=') return { ...place, ended: true }
    if (isSpace(character) || character === '/') return { at: 'tag', element, closing }
    return { ...place, attribute: place.attribute + character.toLowerCase() }
  }
  if (isSpace(character)) return place
  return character === '"' || character === "'"
    ? { at: 'quoted', element, attribute: place.attribute, quote: character, value: '' }
    : { at: 'unquoted', element, attribute: place.attribute }
}

const afterTag = (element: string, closing: boolean): Place => (!closing && RAW.has(element) ? { at: 'raw', element } : START)
