/** The role every tenant-bound statement runs under. It has no login and cannot bypass row security. */
export const APP_ROLE = 'muster_app'
/** Owner of the few functions that look across organizations (schema `fleet`). Nobody logs in as it. */
export const FLEET_ROLE = 'muster_fleet'
