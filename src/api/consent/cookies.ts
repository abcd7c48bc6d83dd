/** The one cookie that there is (RFC 6265): it binds a sign-in to the browser in which it began. */
import type { BegunSignIn } from '../../sign-in.ts';

/** What a browser sends. */
export function readCookies(header: string | undefined): Map<string, string> {
  const pairs = (header ?? '').split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at < 1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]];
  });
  return new Map(pairs);
}

/**
 * Out of reach for scripts, and sent to the callback alone. Lax: the browser comes back from another site, but by a link of
 * the top level.
 */
export function writeCookie({ name, value, path, secure, seconds }: BegunSignIn['cookie']): string {
  const flags = ['HttpOnly', 'SameSite=Lax', ...(secure ? ['Secure'] : [])];
  return [`${name}=${value}`, `Path=${path}`, `Max-Age=${seconds}`, ...flags].join('; ');
}
