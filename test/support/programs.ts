/** The programs beside PostgreSQL that some suites need, and the Debian package that brings each. */
export const PROGRAMS = {
  redis: { program: 'redis-server', debian: 'redis-server', variable: 'MUSTER_TEST_REDIS' },
  chromium: { program: 'chromium', debian: 'chromium', variable: 'MUSTER_TEST_CHROMIUM' },
  sshd: { program: 'sshd', debian: 'openssh-server', variable: 'MUSTER_TEST_SSHD' },
  sftp: { program: 'sftp', debian: 'openssh-client', variable: 'MUSTER_TEST_SFTP' },
} as const

export type Service = keyof typeof PROGRAMS
