/**
 * Who may do what. Halo has no scope for mail (halo-api.md 1.3): `all` and `admin` may do everything, the ticket
 * scopes cover incoming mail, and `penstock:ingest` is ours, for programs that only hand in mail.
 */

/** What a call asks of its caller. `public`: nothing, not even a token. `any`: a token. */
export type Access = 'public' | 'any' | 'read_mail' | 'write_mail' | 'ingest' | 'admin';

const ENOUGH: Record<Exclude<Access, 'public' | 'any'>, readonly string[]> = {
  read_mail: ['read:tickets'],
  write_mail: ['edit:tickets'],
  ingest: ['penstock:ingest', 'edit:tickets'],
  admin: [],
};

const EVERYTHING = ['all', 'admin'];

/** Every scope that opens anything. */
export const SCOPES: readonly string[] = [...EVERYTHING, ...new Set(Object.values(ENOUGH).flat())];

/** The scopes that open a call; none for a call that is open to all. */
export function scopesFor(access: Access): readonly string[] {
  return access === 'public' || access === 'any' ? [] : [...EVERYTHING, ...ENOUGH[access]];
}

export function mayCall(access: Access, scopes: readonly string[]): boolean {
  const enough = scopesFor(access);
  return enough.length === 0 || enough.some((scope) => scopes.includes(scope));
}

/**
 * The scopes a token gets: what was asked for, as far as the client has it. `all`, which clients ask for by
 * default, means all that the client has. Null when it has nothing of what was asked.
 */
export function grantScopes(asked: string | undefined, has: readonly string[]): string[] | null {
  const wanted = (asked ?? '').split(' ').filter((scope) => scope !== '');
  if (wanted.length === 0 || wanted.includes('all')) return [...has];
  const everything = EVERYTHING.some((scope) => has.includes(scope));
  const granted = [...new Set(wanted)].filter((scope) => everything || has.includes(scope));
  return granted.length === 0 ? null : granted;
}
