/** Server settings of the embedded PostgreSQL in tests: nothing is lost that matters when the machine stops. */
export const TEST_SETTINGS: Readonly<Record<string, string>> = { fsync: 'off', shared_buffers: '128MB' }
