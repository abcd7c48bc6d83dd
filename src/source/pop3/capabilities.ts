/** What a server says it can do (CAPA, RFC 2449). */
import { LIMITS } from '../../limits.ts';
import type { Link } from './link.ts';

/** Capabilities by name in capitals, with their arguments. Null when the server has no CAPA: anything may work. */
export type Capabilities = ReadonlyMap<string, readonly string[]> | null;

export async function askCapabilities(link: Link): Promise<Capabilities> {
  const { reply, lines } = await link.listing('CAPA', LIMITS.pop3Capabilities);
  if (reply.status !== 'ok') return null;
  const found = new Map<string, readonly string[]>();
  for (const line of lines) {
    const [name = '', ...args] = line
      .toString('latin1')
      .trim()
      .split(/[ \t]+/);
    if (name !== '') found.set(name.toUpperCase(), args);
  }
  return found;
}

/** The SASL mechanisms that the server names, in capitals (RFC 5034 section 3). */
export function saslMechanisms(capabilities: Capabilities): ReadonlySet<string> {
  return new Set((capabilities?.get('SASL') ?? []).map((name) => name.toUpperCase()));
}

/** The pause between two logins that the server asks for, in seconds (RFC 2449 section 6.5); null when none. */
export function loginDelay(capabilities: Capabilities): number | null {
  const given = Number(capabilities?.get('LOGIN-DELAY')?.[0]);
  if (!Number.isFinite(given) || given <= 0) return null;
  return Math.min(given, LIMITS.pop3LoginDelaySeconds);
}

/** For a person: the capabilities as the server named them. */
export function capabilityText(capabilities: Capabilities): string {
  if (capabilities === null) return 'The server has no CAPA';
  return [...capabilities].map(([name, args]) => [name, ...args].join(' ')).join(', ');
}
