import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import { listFeeds } from '../feeds/feeds.ts'
import { secretsOf } from '../feeds/knownNames.ts'
import { listSecrets, resealAll, storeSecret } from '../feeds/secrets.ts'
import { listOrganizations, organizationId } from '../organizations/organizations.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { count, EXIT, inert, yellow, type ExitStatus } from './output.ts'

export type SecretFlags = { organization: string; file?: string }

/** `muster feed secret NAME --organization KEY [--file PATH]`: keeps a secret under seal; its value is never an argument, and never shown again. */
export async function giveSecret(context: Context, name: string, flags: SecretFlags): Promise<ExitStatus> {
  const value = await readValue(context, name, flags.file)
  return context.with(async ({ database, secret, operator }) => {
    const { out } = context
    const id = await organizationId(database, flags.organization)
    const { replaced, usedBy } = await database.tenant(id, async (tx) => ({
      ...(await storeSecret(tx, { secret, random: randomBytes }, name, value, operator)),
      usedBy: (await listFeeds(tx)).filter(({ definition }) => secretsOf(definition).some((named) => named.name === name)).map((feed) => feed.name),
    }))
    if (out.json) out.data({ secret: { organization: flags.organization, name, replaced, usedBy } })
    else {
      out.say(`The secret ${name} of ${inert(flags.organization)} is kept under seal${replaced ? ', in place of the one before' : ''}. Nobody is shown it again.`)
      out.say(usedBy.length === 0 ? 'No feed names it yet.' : `Used by ${usedBy.join(', ')} from the next connection on.`)
    }
    return EXIT.done
  })
}

/**
 * What the secret is: from the file, else from standard input, at a terminal without an echo. The newline that `echo` and editors put at the
 * end does not belong to a password; a key keeps its lines.
 */
async function readValue({ out }: Pick<Context, 'out'>, name: string, file: string | undefined): Promise<string> {
  const given = file === undefined ? await (process.stdin.isTTY ? ask(`Value of ${name} (not shown): `) : text(process.stdin)) : await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CommandRefused('file.not_found', `${file} cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}.`, 'Check the path.')
  })
  out.settle()
  const value = given.replace(/^\uFEFF/, '')
  return /\n[\s\S]*\n/.test(value) ? value : value.replace(/\r?\n$/, '')
}

/** A line that is typed without being seen: the terminal is told not to echo before anything is asked. */
async function ask(question: string): Promise<string> {
  const unseen = new Writable({ write: (_part, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: unseen, terminal: true })
  process.stderr.write(question)
  try {
    return await new Promise<string>((resolve) => {
      lines.once('line', resolve).once('SIGINT', () => process.kill(process.pid, 'SIGINT')).once('close', () => resolve(''))
    })
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** `muster secret reseal`: seals everything anew with MUSTER_SECRET that was sealed with MUSTER_SECRET_PREVIOUS. Harmless to repeat. */
export function resealSecrets(context: Context): Promise<ExitStatus> {
  return context.with(async ({ database, secrets }) => {
    const { out } = context
    const lines: { organization: string; resealed: number; current: number; unopened: string[] }[] = []
    for (const { id, key } of await listOrganizations(database)) {
      lines.push(
        await database.tenant(id, async (tx) => {
          const resealed = secrets.previous === null ? 0 : await resealAll(tx, secrets, randomBytes)
          const known = await listSecrets(tx, secrets)
          return { organization: key, resealed, current: known.filter(({ sealedWith }) => sealedWith === 'current').length, unopened: known.filter(({ sealedWith }) => sealedWith === 'neither').map(({ name }) => name) }
        }),
      )
    }
    const [resealed, current] = [lines.reduce((sum, line) => sum + line.resealed, 0), lines.reduce((sum, line) => sum + line.current, 0)]
    const unopened = lines.flatMap(({ organization, unopened: names }) => names.map((name) => ({ organization, name })))
    if (out.json) out.data({ resealed, current, unopened })
    else {
      if (secrets.previous === null) out.say('MUSTER_SECRET_PREVIOUS is not set: nothing can be sealed anew.')
      else out.say(`${count(resealed, 'secret was', 'secrets were')} sealed anew; ${count(current, 'is', 'are')} sealed with the MUSTER_SECRET of today.`)
      for (const { organization, name } of unopened) out.say(yellow(`${inert(name)} of ${organization} opens with neither. Give it anew: ./muster feed secret ${inert(name)} --organization ${organization}`))
      if (secrets.previous !== null && unopened.length === 0) out.say('Once every process has the new MUSTER_SECRET, MUSTER_SECRET_PREVIOUS can go.')
    }
    return unopened.length > 0 ? EXIT.partly : EXIT.done
  })
}
