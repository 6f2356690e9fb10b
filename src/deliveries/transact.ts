import { Readable } from 'node:stream'
import { definiteReply, loginRefusal, wordsOf, type SmtpError } from './replies.ts'

/** Deadlines in milliseconds, each for the server's silence or slowness at one stage (RFC 5321 4.5.3.2). */
export type Deadlines = {
  /** Name lookup and connecting. */
  connect: number
  /** The greeting, from the connection on, and the login. */
  greeting: number
  /** From MAIL to the go-ahead for the message. */
  envelope: number
  /** From the go-ahead until the gate is open. */
  gate: number
  /** The answer to the end of the message; the RFC asks for 10 minutes, as a server may be delivering meanwhile. */
  answer: number
}

export const DEADLINES: Deadlines = { connect: 30_000, greeting: 60_000, envelope: 300_000, gate: 120_000, answer: 660_000 }

/** How a message ended. Only with `accepted` and `lostAfterEnd` has the message left, and with `refused` it may have. */
export type Outcome =
  | { is: 'accepted'; response: string }
  /** A complete negative reply, before or after the end of the message. */
  | { is: 'refused'; permanent: boolean; response: string }
  /** The server does not take our login, or asks for one. */
  | { is: 'loginRefused'; response: string }
  /** No connection could be opened. */
  | { is: 'unreachable'; reason: string }
  /** The connection was lost, or its deadline passed, and the end of the message had not left. */
  | { is: 'lostBeforeEnd'; reason: string }
  /** As before, but the end may have left: nobody knows. */
  | { is: 'lostAfterEnd'; reason: string }
  /** The gate stayed shut. */
  | { is: 'withheld'; reason: string }

/** Asked once, when the server waits for the message. True lets it go; false or an error drops the connection instead. */
export type Gate = () => Promise<boolean>

/** The one connection that a message is given to. */
export type Wire = {
  /** Says MAIL, RCPT and DATA, then reads `body` and ends it with the dot; `done` gets nodemailer's answer, once. */
  send(body: Readable, done: (error: SmtpError | null, info?: { response: string }) => void): void
  /** Destroys the connection at once. */
  cut(): void
  /** Registers who is told when the connection breaks. */
  onLoss(tell: (reason: string) => void): void
}

export type Transacted = {
  outcome: Outcome
  /** The gate was asked: the server had given its go-ahead. */
  asked: boolean
  /** The connection's state: ready for the next message, in the middle of a refused one, or gone. */
  left: 'clean' | 'open' | 'cut'
}

/**
 * Takes one message through one SMTP transaction, and knows at every moment whether the message may have left. Never throws.
 * Nothing of the message leaves before the gate is open: neither is a withheld secret shown, nor is a crash there in any doubt.
 */
export function transact(wire: Wire, bytes: Buffer, gate: Gate, deadlines: Deadlines): Promise<Transacted> {
  return new Promise((resolve) => {
    let asked = false
    let ended = false
    let settled = false
    let deadline: NodeJS.Timeout | undefined

    const settle = (outcome: Outcome, left: Transacted['left']) => {
      if (settled) return
      settled = true
      clearTimeout(deadline)
      if (left === 'cut') wire.cut()
      resolve({ outcome, asked, left })
    }
    const lose = (reason: string) => settle({ is: ended ? 'lostAfterEnd' : 'lostBeforeEnd', reason }, 'cut')
    const enter = (stage: 'envelope' | 'gate' | 'answer') => {
      clearTimeout(deadline)
      deadline = setTimeout(lose, deadlines[stage], `no answer within ${deadlines[stage]} ms (${stage})`)
    }

    // Read for the first time when the server has given its go-ahead; nodemailer writes the closing dot when it ends.
    const body = new Readable({
      read() {
        if (asked) return
        asked = true
        enter('gate')
        gate().then(
          (open) => {
            if (settled) return
            if (!open) return settle({ is: 'withheld', reason: 'withheld' }, 'cut')
            ended = true
            enter('answer')
            body.push(bytes)
            body.push(null)
          },
          (error: unknown) => settle({ is: 'withheld', reason: wordsOf(error) }, 'cut'),
        )
      },
    })

    wire.onLoss(lose)
    enter('envelope')
    wire.send(body, (error, info) => {
      // An acceptance before the message has ended is none.
      if (error === null) return ended ? settle({ is: 'accepted', response: info!.response }, 'clean') : lose('accepted before its end')
      const reply = definiteReply(error)
      if (reply === null) return lose(wordsOf(error))
      const login = asked ? null : loginRefusal(error)
      if (login !== null) return settle({ is: 'loginRefused', response: login }, 'cut')
      // Refused in the middle of the message: the connection must go, or the message would follow.
      const cut = reply.closing || (asked && !ended)
      settle({ is: 'refused', permanent: reply.permanent, response: reply.response }, cut ? 'cut' : ended ? 'clean' : 'open')
    })
  })
}
