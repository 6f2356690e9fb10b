import type { Transaction } from '../entities/database.ts'

/**
 * Runs a statement that a connection parses and plans once and then knows by its name: for what is done at every sign-in, where planning would cost
 * more than running. Under one name there is always the same text.
 */
export async function planned<R extends object>(tx: Pick<Transaction, 'client'>, name: string, text: string, values: readonly unknown[]): Promise<R[]> {
  return (await tx.client.query<R>({ name, text, values: [...values] })).rows
}
