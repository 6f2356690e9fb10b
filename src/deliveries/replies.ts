/** nodemailer's errors, as far as they are looked at. */
export type SmtpError = Error & { code?: string | undefined; command?: string | undefined; response?: string | undefined; responseCode?: number | undefined }

export type Reply = {
  response: string
  /** The server will say the same every time. 503 is about our session, not about the message. */
  permanent: boolean
  /** The server ends the connection with it. */
  closing: boolean
}

/** Commands whose answers nodemailer reports with these codes, always for a reply that was received to its end. */
const ANSWERED = new Set(['EENVELOPE', 'EMESSAGE'])
/** RFC 4954: login needed, mechanism too weak, credentials refused, encryption needed. */
const LOGIN_REPLIES = new Set([530, 534, 535, 538])
const PERMANENT_LOGIN = /^5/

/**
 * The complete negative reply that an error stands for, or null where there was none. A connection that closes in the middle of
 * a reply gives an error with a response, too; that is no answer (fault 22).
 */
export function definiteReply(error: SmtpError): Reply | null {
  const { code, responseCode, response } = error
  if (code === undefined || !ANSWERED.has(code) || responseCode === undefined || response === undefined) return null
  if (responseCode < 400 || responseCode > 599) return null
  return { response, permanent: responseCode >= 500 && responseCode !== 503, closing: responseCode === 421 }
}

/** The server's words where it refuses us as a client: the login, or mail without one. Null for anything else. */
export function loginRefusal(error: SmtpError): string | null {
  const { code, responseCode, response = '' } = error
  if (code === 'EAUTH') return responseCode === undefined || PERMANENT_LOGIN.test(String(responseCode)) ? response || error.message : null
  return code === 'EENVELOPE' && responseCode !== undefined && LOGIN_REPLIES.has(responseCode) ? response : null
}

/** What an error says, on one line. */
export function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').slice(0, 500)
}
