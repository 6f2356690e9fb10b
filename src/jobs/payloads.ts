/** The kinds of job and what each carries: ids only, never a secret or anything personal (faults.md I5). */
export type Payloads = {
  stage: { organizationId: string; importId: string }
  commit: { organizationId: string; importId: string; chunk: number }
  deliver: { organizationId: string }
  feeds: { organizationId: string; feedId: string }
  webhooks: { organizationId: string }
  sweep: Record<string, never>
}
export type JobName = keyof Payloads
export const JOB_NAMES = ['stage', 'commit', 'deliver', 'feeds', 'webhooks', 'sweep'] as const satisfies JobName[]

/** Payloads lie in the queue in clear, and are shown: whatever the types were made to let through, nothing but ids gets there. */
export function assertIds(payload: object): void {
  for (const [name, value] of Object.entries(payload)) {
    if (!(typeof value === 'string' ? /^\d{1,18}$/.test(value) : Number.isSafeInteger(value) && value >= 0)) throw new TypeError(`a job carries ids only; ${name} is none`)
  }
}

/** The same job is not queued twice while it waits. Ids hold no colon and are never digits alone. */
export function jobId<Name extends JobName>(name: Name, payload: Payloads[Name]): string {
  return [name, ...Object.values(payload)].join('-')
}
