import { isAbsolute, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SettingsRefused, readConfig } from '../src/config.ts'
import type { Environment } from '../src/config.ts'

const SECRET = 'a secret of at least 32 characters'
const PREVIOUS = 'what the secret was before it was changed'

const faultsOf = (environment: Environment): readonly string[] => {
  try {
    readConfig(environment)
    return []
  } catch (error) {
    if (error instanceof SettingsRefused) return error.faults
    throw error
  }
}

describe('the settings', () => {
  test('need none: everything is embedded, below the checkout', () => {
    expect(readConfig({})).toEqual({
      databaseUrl: null, redisUrl: null, smtpUrl: null, home: join(import.meta.dirname, '..', '.muster'), port: 3000, portIsDefault: true,
      portalPort: 3001, portalPortIsDefault: true, portalHost: '127.0.0.1', trustedProxies: 0, hashCost: { memory: 19_456, passes: 2, parallelism: 1 },
      publicUrl: null, secret: null, previousSecret: null, operator: null, dropPort: 3022, dropPortIsDefault: true, logLevel: 'info', failpoint: null,
    })
  })

  test('are read as given', () => {
    expect(readConfig({
      DATABASE_URL: 'postgres://u:p@db:5432/muster', REDIS_URL: 'rediss://cache:6379/2', SMTP_URL: 'smtps://u:p@mail:465', MUSTER_HOME: '/srv/muster',
      PORT: '0', PORTAL_PORT: '8080', PORTAL_HOST: '0.0.0.0', TRUSTED_PROXIES: '1', ARGON2_MEMORY: '65536', ARGON2_PASSES: '3',
      PUBLIC_URL: 'https://onboarding.example.com/x/', MUSTER_SECRET: SECRET, MUSTER_SECRET_PREVIOUS: PREVIOUS, MUSTER_OPERATOR: 'ana', DROP_PORT: '0', LOG_LEVEL: 'debug',
    })).toEqual({
      databaseUrl: 'postgres://u:p@db:5432/muster', redisUrl: 'rediss://cache:6379/2', smtpUrl: 'smtps://u:p@mail:465', home: '/srv/muster', port: 0, portIsDefault: false,
      portalPort: 8080, portalPortIsDefault: false, portalHost: '0.0.0.0', trustedProxies: 1, hashCost: { memory: 65_536, passes: 3, parallelism: 1 },
      publicUrl: 'https://onboarding.example.com/x', secret: SECRET, previousSecret: PREVIOUS, operator: 'ana', dropPort: 0, dropPortIsDefault: false, logLevel: 'debug', failpoint: null,
    })
  })

  test('cannot be changed afterwards', () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true)
  })

  test('that are empty count as not given', () => {
    expect(readConfig({ DATABASE_URL: '', REDIS_URL: ' ', PORT: '' })).toEqual(readConfig({}))
  })

  test('tell all faults at once, each naming its setting', () => {
    const faults = faultsOf({
      DATABASE_URL: 'mysql://x/y', REDIS_URL: 'cache:6379', SMTP_URL: 'mail.example.com', PORT: '70000', PORTAL_HOST: 'a b', ARGON2_MEMORY: '64', PUBLIC_URL: 'ftp://x', MUSTER_SECRET: 'short', LOG_LEVEL: 'loud',
    })
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(['DATABASE_URL', 'REDIS_URL', 'SMTP_URL', 'PORT', 'PORTAL_HOST', 'ARGON2_MEMORY', 'PUBLIC_URL', 'MUSTER_SECRET', 'LOG_LEVEL'])
  })

  test.for(['-1', '80.5', 'http', '65536', '0x50'])('refuse the port %s', (PORT) => {
    expect(faultsOf({ PORT })).toEqual(['PORT must be a whole number from 0 to 65535.'])
  })

  test('need a secret beside a database of one\'s own, told together with the other faults', () => {
    expect(faultsOf({ DATABASE_URL: 'postgres://db/muster' })).toEqual([expect.stringMatching(/^MUSTER_SECRET must be given together with DATABASE_URL/)])
    expect(faultsOf({ DATABASE_URL: 'postgres://db/muster', PORT: 'x' })).toHaveLength(2)
  })

  test('never repeat a secret in a fault', () => {
    expect(faultsOf({ MUSTER_SECRET: 'hunter2' }).join()).not.toContain('hunter2')
    expect(faultsOf({ DATABASE_URL: 'postgrez://u:hunter2@db/x' }).join()).not.toContain('hunter2')
  })

  test('take a relative home from the current folder', () => {
    const { home } = readConfig({ MUSTER_HOME: 'elsewhere' })
    expect(isAbsolute(home)).toBe(true)
    expect(home).toBe(join(process.cwd(), 'elsewhere'))
  })

  test('honor a failpoint under NODE_ENV=test only', () => {
    expect(readConfig({ NODE_ENV: 'test', MUSTER_FAILPOINT: 'after-commit' }).failpoint).toBe('after-commit')
    expect(readConfig({ NODE_ENV: 'production', MUSTER_FAILPOINT: 'after-commit' }).failpoint).toBe(null)
    expect(readConfig({ MUSTER_FAILPOINT: 'after-commit' }).failpoint).toBe(null)
  })
})
