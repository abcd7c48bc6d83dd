/** The part before the last `@` in lower case; the whole address when it has none. */
export function localPart(address: string): string {
  const at = address.lastIndexOf('@');
  return (at < 0 ? address : address.slice(0, at)).trim().toLowerCase();
}

/** The part after the last `@` in lower case; empty when there is none. */
export function domainPart(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0
    ? ''
    : address
        .slice(at + 1)
        .trim()
        .toLowerCase();
}

/**
 * An address in the form in which two spellings of one mailbox are equal: lower case, without brackets, without
 * a subaddress (`help+tag@example.com`, RFC 5233). For comparing, never for sending.
 */
export function canonicalAddress(address: string): string {
  const bare = address.replace(/[<>\s]/g, '');
  const local = localPart(bare);
  const plus = local.indexOf('+');
  const domain = domainPart(bare);
  const base = plus > 0 ? local.slice(0, plus) : local;
  return domain === '' ? base : `${base}@${domain}`;
}
