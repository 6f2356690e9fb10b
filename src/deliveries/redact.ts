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

/** Runs of our password characters, and of what secrets are encoded in. */
const RUN = /[\w\-+*#%=@/]{8,}/g
const WORDS_IN_A_ROW = /(?<![a-z-])[a-z]{2,}(?:-[a-z]{2,}){3,}(?![a-z-])/g
const KINDS = [/[A-Z]/, /[a-z]/, /\d/]
const ENCODED = 20

/**
 * Words of a server about a mail whose secret nobody knows any more, without anything that looks like one of ours: a password (a capital, a
 * small letter and a digit in a run), a passphrase, a token, or these in base64. Takes some harmless words along.
 */
export function redactLikely(words: string): string {
  const looksSecret = (run: string): boolean => KINDS.every((kind) => kind.test(run)) || (run.length >= ENCODED && /[A-Z]/.test(run) && /[a-z]/.test(run))
  const line = words.replace(/[\s\p{Cc}\p{Cf}\p{Cs}]+/gu, ' ')
  return redact(line.replace(RUN, (run) => (looksSecret(run) ? REMOVED : run)).replace(WORDS_IN_A_ROW, REMOVED), null)
}
