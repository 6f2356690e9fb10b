/** The names of all migrations in order. Apart from what they do: every command looks whether there is one to apply. */
export const MIGRATION_NAMES = ['001-roles', '002-schema', '003-fleet', '004-access', '005-access-fleet', '006-feeds', '007-feeds-fleet'] as const
