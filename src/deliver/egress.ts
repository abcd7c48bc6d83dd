/**
 * Where deliveries may go. Addresses are judged at the time of connecting, after the name was resolved, so a name that
 * means something else a moment later (DNS rebinding) gains nothing. Only addresses of the public internet are open;
 * everything else is closed unless the operator names it in `destinations.allow` (failures, section 23).
 */
import ipaddr from 'ipaddr.js';
import { fail, type PenstockError } from '../errors.ts';

/** Public by their number, and yet a service of the cloud that this machine runs in. */
const METADATA = ['168.63.129.16'];
/** The operator named the host, but hardly this: addresses of one link, where clouds keep credentials of machines. */
const NEVER_BY_NAME = ['linkLocal', 'multicast', 'unspecified', 'broadcast'];

/** The entries of `destinations.allow`: names of hosts, addresses, and networks such as 10.1.0.0/16. */
export class AllowList {
  readonly #names = new Set<string>();
  readonly #networks: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];

  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const text = entry.trim().toLowerCase();
      const [address = '', bits] = text.split('/');
      if (bits !== undefined) this.#networks.push(networkOf(text));
      else if (ipaddr.isValid(address)) {
        const one = unwrap(ipaddr.parse(address));
        this.#networks.push([one, one.kind() === 'ipv4' ? 32 : 128]);
      } else this.#names.add(text);
    }
  }

  /** Whether a host was named, as it stands in a URL: by its name, or by its address. */
  names(host: string): boolean {
    const plain = plainHost(host);
    return this.#names.has(plain) || (ipaddr.isValid(plain) && this.covers(plain));
  }

  /** Whether an address was named, by itself or by its network. */
  covers(address: string): boolean {
    const one = unwrap(ipaddr.parse(address));
    return this.#networks.some(
      ([network, bits]) => network.kind() === one.kind() && one.match(network as never, bits),
    );
  }
}

/** Fails with `config_invalid`: a network that is none would allow nothing, and nobody would see why. */
function networkOf(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  throw fail('config_invalid', `destinations.allow has ${text}, which is no network.`, {
    setting: 'destinations.allow',
  });
}

/** Why a host may not be reached at this address; null when it may. Unknown kinds of addresses are closed. */
export function refusal(host: string, address: string, allowed: AllowList): PenstockError | null {
  const closed = closedBecause(address);
  if (closed === null) return null;
  if (ipaddr.isValid(address)) {
    if (allowed.covers(address)) return null;
    if (allowed.names(host) && !NEVER_BY_NAME.includes(closed)) return null;
  }
  return fail(
    'egress_blocked',
    `${plainHost(host)} is ${address}, which is not on the public internet (${closed}). The setting destinations.allow (PENSTOCK_DESTINATIONS_ALLOW) names the exceptions.`,
    { host: plainHost(host), address, range: closed, setting: 'destinations.allow' },
  );
}

/** What kind of address it is when it is closed; null when it is open to all. */
function closedBecause(address: string): string | null {
  // A zone (fe80::1%eth0) only ever stands behind addresses of a link.
  if (!ipaddr.isValid(address)) return 'unknown';
  const one = unwrap(ipaddr.parse(address));
  if (METADATA.includes(one.toString())) return 'metadata';
  const range = one.range();
  return range === 'unicast' ? null : range;
}

/** The IPv4 address that stands in an IPv6 one: mapped (RFC 4291), compatible, NAT64 (RFC 6052), 6to4 (RFC 3056). */
function unwrap(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const bytes = address.toByteArray();
  const range = address.range();
  const isCompatible =
    bytes.slice(0, 12).every((byte) => byte === 0) && bytes.slice(12, 14).some((byte) => byte !== 0);
  if (range === 'rfc6052' || isCompatible) return new ipaddr.IPv4(bytes.slice(12));
  if (range === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6));
  return address;
}

/** A host of a URL without the brackets of IPv6 and the dot at the end. */
export function plainHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}
