/** Made-up people, the same in every run: each is worked out from its number alone. */
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export type Person = {
  externalId: string
  firstName: string
  lastName: string
  email: string
  /** Ten digits. */
  phone: string
}

const FIRST = [
  'Ada', 'Aisha', 'Alejandro', 'Amélie', 'Ana', 'Anne-Marie', 'Anton', 'Aoife', 'Bente', 'Bjørn', 'Carlos', 'Chloé', 'Daan', 'Dimitri', 'Elena', 'Emma', 'Fatima', 'Femke', 'George', 'Grace',
  'Hans', 'Hiroshi', 'Ingrid', 'Ivan', 'Jamal', 'Jean-Luc', 'John', 'José', 'Karin', 'Keisha', 'Lars', 'Lucía', 'Mary Ann', 'Mateusz', 'Mei', 'Mohammed', 'Nadia', 'Noah', 'Olga', 'Oscar',
  'Priya', 'Rosa', 'Sanne', 'Søren', 'Thi', 'Wei', 'Yusuf', 'Zoë',
]
const LAST = [
  'Andersson', 'Bauer', 'Becker', 'Brown', 'Chen', 'Costa', 'Davis', 'Dubois', 'Eriksen', 'Ferrari', 'Fischer', 'García', 'Garcia', 'González', 'Haddad', 'Hansen', 'Hernández', 'Huang', 'Ibrahim', 'Ivanova',
  'Jansen', 'Jensen', 'Johnson', 'Jones', 'Kaya', 'Khan', 'Kim', 'Kowalski', 'Kumar', 'Larsen', 'Lee', 'Lefèvre', 'López', 'Martin', 'Meyer', 'Miller', 'Müller', 'Murphy', 'Nguyễn', 'Nielsen',
  'Novák', 'O’Brien', "O'Neill", 'Okafor', 'Papadopoulos', 'Patel', 'Pereira', 'Petrov', 'Popescu', 'Rossi', 'Sato', 'Schmidt', 'Silva', 'Singh', 'Smith', 'Suzuki', 'Tanaka', 'Taylor', 'van den Berg', 'Visser',
  'Wagner', 'Walker', 'Wilson', 'Yılmaz',
]
const COMPANIES = 40

/** A number's bits, stirred (MurmurHash3's finalizer): neighbours have nothing in common. */
function stir(index: number): number {
  let bits = (index + 1) >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** The person of a number from 0. External ids and addresses are told apart by it; names come again and again, as among real people. */
export function person(index: number): Person {
  const chance = stir(index)
  const firstName = FIRST[chance % FIRST.length]!
  const last = LAST[(chance >>> 6) % LAST.length]!
  const lastName = (chance >>> 12) % 3 === 0 ? `${last}-${LAST[(chance >>> 14) % LAST.length]!}` : last
  return {
    externalId: `E${100_000 + index}`,
    firstName,
    lastName,
    email: `${initial(firstName)}.${ascii(last)}${index}@company${chance % COMPANIES}.example`,
    phone: `612${String(2_000_000 + (chance % 8_000_000))}`,
  }
}

const initial = (name: string): string => ascii(name).charAt(0)
const ascii = (name: string): string => name.normalize('NFD').toLowerCase().replace(/[^a-z]/g, '')

/** As people write them: bare, with dashes, with parentheses. */
function writtenPhone(phone: string, index: number): string {
  const [area, exchange, line] = [phone.slice(0, 3), phone.slice(3, 6), phone.slice(6)]
  return [phone, `${area}-${exchange}-${line}`, `(${area}) ${exchange}-${line}`][index % 3]!
}

const PIECE_ROWS = 5_000

/**
 * Writes a CSV file of people: External ID, First Name, Last Name, Email, Phone, System User.
 * @param everyUser every so manieth is to have a user; 0: nobody
 */
export async function writePeopleCsv(file: string, rows: number, everyUser: number): Promise<void> {
  function* pieces(): Generator<string> {
    yield 'External ID,First Name,Last Name,Email,Phone,System User\r\n'
    for (let first = 0; first < rows; first += PIECE_ROWS) {
      let text = ''
      for (let index = first; index < Math.min(rows, first + PIECE_ROWS); index++) {
        const { externalId, firstName, lastName, email, phone } = person(index)
        const user = everyUser > 0 && index % everyUser === 0 ? 'yes' : 'no'
        text += `${externalId},${firstName},${lastName},${email},${writtenPhone(phone, index)},${user}\r\n`
      }
      yield text
    }
  }
  await pipeline(Readable.from(pieces()), createWriteStream(file))
}
