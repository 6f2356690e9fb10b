/** A mail server that takes everything and keeps nothing: says its address, and ends with its standard input. Run by the benchmarks that send. */
import { startSink } from '../test/support/smtpSink.ts'

const sink = await startSink({ record: false })
process.stdout.write(`${sink.url}\n`)
process.stdin.resume().once('end', () => process.exit())
