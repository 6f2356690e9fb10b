import type { IssueCode } from '../../src/rules/catalog.ts'
import type { IssueDetail, Report } from '../../src/rules/problem.ts'

export type Reported<Value> = { value: Value; codes: IssueCode[]; details: IssueDetail[] }

/** Runs a rule and gives its value together with what it reported, in order. */
export function reported<Value>(rule: (report: Report) => Value): Reported<Value> {
  const codes: IssueCode[] = []
  const details: IssueDetail[] = []
  const value = rule((code, detail = {}) => {
    codes.push(code)
    details.push(detail)
  })
  return { value, codes, details }
}

/** A report for rules that must stay silent. */
export const silent: Report = (code) => {
  throw new Error(`Nothing should have been reported, but ${code} was.`)
}
