/**
 * An OLE2 compound file with these names in its directory, which lies in sectors 1 and 3: as old Office programs write their
 * documents, and new ones wrap those that are protected with a password.
 */
export function writeOle(names: readonly string[]): Buffer {
  const file = Buffer.alloc(512 * 6)
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(file)
  file.writeUInt16LE(9, 30)
  file.writeUInt32LE(1, 44)
  file.writeUInt32LE(1, 48)
  file.writeUInt32LE(0, 76)
  const table = 512
  file.writeUInt32LE(3, table + 4)
  file.writeUInt32LE(0xfffffffe, table + 12)
  for (const [index, name] of ['Root Entry', ...names].entries()) {
    const at = (index < 4 ? 512 * 2 : 512 * 4) + index % 4 * 128
    file.write(name, at, 'utf16le')
    file.writeUInt16LE(name.length * 2 + 2, at + 64)
  }
  return file
}
