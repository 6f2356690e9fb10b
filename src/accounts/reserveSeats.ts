import type { Transaction } from '../entities/database.ts'

/** Seats of a license that a plan takes, and that are free before it (spec C3). */
export type SeatCount = { license: string; needed: number; free: number }

/** The limited licenses that a plan takes seats of. */
export function countSeats(tx: Transaction, importId: string, users: string): Promise<SeatCount[]> {
  return tx.query<SeatCount>(
    `select l.name as license, n.needed, (l.seats - (select count(*) from users u where u.license_id = l.id and u.state = 'active')
       - (select coalesce(sum(s.seats), 0) from seat_reservations s where s.license_id = l.id and s.import_id <> $1))::int as free
     from (select p.license_id, count(*)::int as needed from ${users} p where p.takes_seat and p.fate in ('create', 'update') group by 1) n
     join licenses l on l.id = n.license_id where l.seats is not null order by l.id`,
    [importId],
  )
}

/**
 * Sets aside the seats that a plan takes, before its first row is committed (spec C3): never more than there are, whatever runs side by side.
 * Licenses are locked in the order of their ids. While the import is committed its seats count twice, as taken and as set aside:
 * another import may meanwhile be told of too few, never of too many.
 * @returns the licenses that no longer have the seats; empty where all is well
 */
export async function reserveSeats(tx: Transaction, importId: string, users: string): Promise<string[]> {
  const taken = `${users} p where p.takes_seat and p.fate in ('create', 'update')`
  // Locked in a statement of its own: what was counted in the same one would be counted as it was before the wait.
  await tx.run(`select from licenses where id in (select p.license_id from ${taken}) and seats is not null order by id for no key update`)
  const short = await tx.query<{ name: string }>(
    `with needed as (select p.license_id, count(*) as seats from ${taken} group by 1)
     select l.name from needed n join licenses l on l.id = n.license_id
     where n.seats > l.seats - (select count(*) from users u where u.license_id = l.id and u.state = 'active')
                             - (select coalesce(sum(s.seats), 0) from seat_reservations s where s.license_id = l.id and s.import_id <> $1)`,
    [importId],
  )
  if (short.length === 0) {
    await tx.run(
      `insert into seat_reservations (license_id, import_id, organization_id, seats)
       select p.license_id, $1, $2, count(*) from ${taken} and exists (select from licenses l where l.id = p.license_id and l.seats is not null) group by 1
       on conflict (license_id, import_id) do update set seats = excluded.seats`,
      [importId, tx.organizationId],
    )
  }
  return short.map((license) => license.name)
}

/** Gives back what was set aside; the users hold their seats now. */
export async function releaseSeats(tx: Transaction, importId: string): Promise<void> {
  await tx.run('delete from seat_reservations where import_id = $1', [importId])
}
