import { listMailbox, showMessage } from '../embedded/mailbox.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { dim, EXIT, inert, table, type ExitStatus } from './output.ts'

/** `muster mailbox list`: what the built-in mailbox has taken, oldest first. */
export async function listMessages({ out, config }: Context): Promise<ExitStatus> {
  const messages = await listMailbox(config().home)
  if (out.json) for (const message of messages) out.data(message)
  else if (messages.length === 0) out.say('The mailbox is empty.')
  else for (const line of table(['id', 'received (UTC)', 'to', 'subject'], messages.map(({ id, receivedAt, to, subject }) => [id, receivedAt.slice(0, 16).replace('T', ' '), to, subject]))) out.say(line)
  return EXIT.done
}

/** `muster mailbox show ID` */
export async function showOneMessage({ out, config }: Context, id: string): Promise<ExitStatus> {
  const message = await showMessage(config().home, id)
  if (!message) throw new CommandRefused('mailbox.unknown_id', `There is no mail ${JSON.stringify(id)}.`, './muster mailbox list shows those there are.')
  if (out.json) {
    out.data(message)
    return EXIT.done
  }
  for (const [name, value] of [['From', message.from], ['To', message.to], ['Subject', message.subject], ['Received', `${message.receivedAt.slice(0, 16).replace('T', ' ')} UTC`]] as const) out.say(`${dim(name.padEnd(9))} ${inert(value)}`)
  out.say()
  for (const line of message.text.split(/\r?\n/)) out.say(inert(line))
  return EXIT.done
}
