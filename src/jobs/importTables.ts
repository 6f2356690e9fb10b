import type { PlanTables } from '../accounts/planUsers.ts'
import type { OwingTables } from '../deliveries/owe.ts'
import { furtherTable, planTable, rowsTable } from '../importers/stagedRow.ts'

/** An import's staging tables, under the names that each room knows them by. */
export function importTables(importId: string): PlanTables & OwingTables {
  return { rows: rowsTable(importId), plan: planTable(importId), users: `${planTable(importId)}_users`, held: `${planTable(importId)}_held`, further: furtherTable(importId) }
}
