import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TemplateSource } from '../templates/source.ts'
import { CommandRefused } from './find.ts'
import { openToWrite } from './openToWrite.ts'

/** A template as files: a folder with one for each part. */
const FILES = { subject: 'subject.hbs', text: 'text.hbs', html: 'html.hbs' } as const satisfies Record<keyof TemplateSource, string>
const PARTS = ['subject', 'text', 'html'] as const
/** Bytes of a file; what is longer is no mail. */
const LARGEST = 2_000_000

/** The template in a folder: subject.hbs, text.hbs and html.hbs, in UTF-8. Refuses where one is missing or no text. */
export async function readTemplateFolder(folder: string): Promise<TemplateSource> {
  const source: TemplateSource = { subject: '', text: '', html: '' }
  for (const part of PARTS) source[part] = await readPart(join(folder, FILES[part]))
  return { ...source, subject: source.subject.trim() }
}

async function readPart(path: string): Promise<string> {
  const bytes = await stat(path)
    .then(({ size }) => {
      if (size > LARGEST) throw new CommandRefused('file.too_large', `${path} is larger than any mail should be.`, 'Link to pictures instead of putting them in.')
      return readFile(path)
    })
    .catch((error: NodeJS.ErrnoException) => {
      if (error instanceof CommandRefused) throw error
      throw new CommandRefused('file.not_found', `${path} cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}.`, 'A template is a folder with subject.hbs, text.hbs and html.hbs; ./muster mail show PURPOSE --organization KEY -o FOLDER writes one to start from.')
    })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replaceAll('\r\n', '\n')
  } catch {
    throw new CommandRefused('file.encoding', `${path} is not UTF-8.`, 'Save it as UTF-8.')
  }
}

/** Writes a template into a folder, which is made where it is not there. Refuses where one of the files is: somebody may have worked on it. */
export async function writeTemplateFolder(folder: string, source: TemplateSource): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new CommandRefused('file.not_writable', `${folder} cannot be made: ${error.message}.`, 'Name another folder with -o.')
  })
  for (const part of PARTS) {
    const path = join(folder, FILES[part])
    if (await stat(path).catch(() => null)) throw new CommandRefused('file.exists', `${path} is there already, and is not written over.`, 'Name another folder with -o.')
  }
  for (const part of PARTS) {
    await using file = await openToWrite(join(folder, FILES[part]))
    await file.writeFile(part === 'subject' ? `${source.subject}\n` : source[part])
  }
}
