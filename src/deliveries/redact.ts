const REMOVED = '[removed]'
const LONGEST = 1_000

/**
 * Words of a server on one line without a secret that it may have repeated, also in the encodings of mail and links (invariant I5).
 */
export function redact(words: string, secret: string | null): string {
  const line = words.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').trim()
  if (secret === null) return line.slice(0, LONGEST)
  const base64 = Buffer.from(secret, 'utf8').toString('base64').replace(/=+$/, '')
  // The last characters of base64 depend on what follows.
  const forms = [secret, secret.replaceAll('=', '=3D'), encodeURIComponent(secret), base64.slice(0, -2)]
  return forms.reduce((clean, form) => clean.replaceAll(form, REMOVED), line).slice(0, LONGEST)
}
