import type { FeedDefinition } from './declaration.ts'
import type { RemoteFile } from './remoteFolder.ts'

/** Tells one version of a file from another one of the same name. */
export const fileKey = ({ name, bytes, modifiedAt }: RemoteFile): string => `${name}\0${bytes}\0${modifiedAt.getTime()}`

/**
 * Whether a file's name matches a pattern: * is any text, ? one character, the rest is taken as it is, upper and lower case apart. As in a
 * shell, a name with a dot in front needs one in the pattern. What Muster answers matches as well: answerTo of acknowledge.ts tells it.
 */
export const matchesPattern = (name: string, pattern: string): boolean => matches(name, pattern)

/**
 * Which files of a folder are whole, by the feed's readiness rule (faults.md 29), and which have yet to become so. Markers and files under
 * a temporary name are in neither.
 * @param files everything that lies in the folder, markers too; choose by matchesPattern from the answer
 * @param seen when each version (fileKey) was first seen, by the same clock as `now`
 */
export function readyFiles(files: readonly RemoteFile[], readiness: FeedDefinition['readiness'], seen: ReadonlyMap<string, { seenAt: Date }>, now: Date): { ready: RemoteFile[]; waiting: RemoteFile[] } {
  const ready: RemoteFile[] = []
  const waiting: RemoteFile[] = []
  if (readiness.kind === 'rename') {
    ready.push(...files.filter(({ name }) => !readiness.temporary.some((pattern) => matches(name, pattern))))
  } else if (readiness.kind === 'marker') {
    const markers = new Map(files.filter(({ name }) => name.endsWith(readiness.suffix)).map((file) => [file.name, file]))
    for (const file of files) {
      if (markers.has(file.name)) continue
      const marker = markers.get(markerOf(file.name, readiness.suffix))
      const whole = marker !== undefined && !isOlder(marker, file)
      ;(whole ? ready : waiting).push(file)
    }
  } else {
    for (const file of files) {
      const first = seen.get(fileKey(file))
      const whole = first !== undefined && now.getTime() - first.seenAt.getTime() >= readiness.seconds * 1000
      ;(whole ? ready : waiting).push(file)
    }
  }
  return { ready, waiting }
}

/** The name of a file's marker where that is there, and does not count since it is older; else null. */
export function olderMarker(file: RemoteFile, files: readonly RemoteFile[], readiness: FeedDefinition['readiness']): string | null {
  if (readiness.kind !== 'marker') return null
  const wanted = markerOf(file.name, readiness.suffix)
  return files.some((marker) => marker.name === wanted && isOlder(marker, file)) ? wanted : null
}

/** A marker that is older speaks of the file that lay there before, under the same name. */
const isOlder = (marker: RemoteFile, file: RemoteFile): boolean => marker.modifiedAt < file.modifiedAt

/** The name of the file that says that another one is whole. */
export const markerOf = (name: string, suffix: string): string => `${name}${suffix}`

/** Asterisks are tried one after the other and never again, so that no pattern takes long. */
const matches = (name: string, pattern: string): boolean => {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false
  const characters = [...name]
  const wanted = [...pattern]
  let at = 0
  let next = 0
  let star = -1
  let resume = 0
  while (at < characters.length) {
    if (wanted[next] === '*') {
      star = next++
      resume = at
    } else if (next < wanted.length && (wanted[next] === '?' || wanted[next] === characters[at])) {
      next++
      at++
    } else if (star !== -1) {
      next = star + 1
      at = ++resume
    } else return false
  }
  while (wanted[next] === '*') next++
  return next === wanted.length
}
