import { APP_ROLE, FLEET_ROLE } from '../roles.ts'

/** Name with arguments, result, body. Each answers one narrow question about all organizations; none returns personal data. */
export type FleetFunction = [name: string, result: string, body: string]

/** Statements that make a function of schema fleet: it runs as the fleet's role, and the app's role may call it. */
export function fleetFunction([name, result, body]: FleetFunction): string[] {
  const signature = name.replace(/\w+ (bigint(?:\[\])?|text)/g, '$1')
  return [
    `create function fleet.${name} returns ${result} language sql stable security definer set search_path = public, pg_temp as $$ ${body} $$`,
    `alter function fleet.${signature} owner to ${FLEET_ROLE}`,
    `revoke all on function fleet.${signature} from public`,
    `grant execute on function fleet.${signature} to ${APP_ROLE}`,
  ]
}
