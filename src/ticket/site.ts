/** The site of a new requester, from addresses (halo-domain.md 2.2; the meaning of prefix and wildcard is ours). Pure. */
import { domainPart, localPart } from '../message/address-form.ts';

export interface SiteAddresses {
  id: number;
  /**
   * Whose senders belong to the site. `example.org` is a domain, `*.example.org` a wildcard, and `berlin.@example.org`
   * the beginning of addresses in a domain. Lower case.
   */
  emailDomains: readonly string[];
  /** Mail to these domains, or to those that a wildcard fits, comes from the site. Lower case. */
  toDomains: readonly string[];
}

/** Which steps a mailbox takes. */
export interface SiteSteps {
  siteByPrefix: boolean;
  siteByWildcard: boolean;
  siteByDomain: boolean;
  siteByRecipient: boolean;
}

export interface SiteMatch {
  siteId: number;
  by: 'prefix' | 'domain' | 'wildcard' | 'recipient';
}

/**
 * The first step that fits one site decides, from the most to the least specific. Within a step the longest entry
 * wins; entries of two sites that are equally long say nothing.
 */
export function matchSite(
  sender: string,
  recipients: readonly string[],
  sites: readonly SiteAddresses[],
  steps: SiteSteps,
): SiteMatch | null {
  const [local, domain] = [localPart(sender), domainPart(sender)];
  const recipientDomains = recipients.map(domainPart);
  const isWildcard = (entry: string): boolean => entry.includes('*') && !entry.includes('@');
  const fits = (entry: string, actual: string): boolean =>
    actual !== '' && (isWildcard(entry) ? globFits(entry, actual) : entry === actual);

  const tries: [boolean, SiteMatch['by'], (site: SiteAddresses) => readonly string[]][] = [
    [
      steps.siteByPrefix,
      'prefix',
      ({ emailDomains }) =>
        emailDomains.filter(
          (entry) =>
            localPart(entry) !== '' && domainPart(entry) === domain && local.startsWith(localPart(entry)),
        ),
    ],
    [
      steps.siteByDomain,
      'domain',
      ({ emailDomains }) => emailDomains.filter((entry) => !isWildcard(entry) && fits(entry, domain)),
    ],
    [
      steps.siteByWildcard,
      'wildcard',
      ({ emailDomains }) => emailDomains.filter((entry) => isWildcard(entry) && fits(entry, domain)),
    ],
    [
      steps.siteByRecipient,
      'recipient',
      ({ toDomains }) => toDomains.filter((entry) => recipientDomains.some((one) => fits(entry, one))),
    ],
  ];
  for (const [wanted, by, entriesOf] of tries) {
    const siteId = wanted ? longest(sites, entriesOf) : null;
    if (siteId !== null) return { siteId, by };
  }
  return null;
}

function longest(
  sites: readonly SiteAddresses[],
  entriesOf: (site: SiteAddresses) => readonly string[],
): number | null {
  let best = { length: 0, siteId: null as number | null };
  for (const site of sites) {
    const length = Math.max(0, ...entriesOf(site).map((entry) => entry.length));
    if (length > best.length) best = { length, siteId: site.id };
    else if (length === best.length && length > 0) best = { length, siteId: null };
  }
  return best.siteId;
}

/** `*` stands for any characters. Each piece is searched from where the one before ended, so this is linear. */
function globFits(pattern: string, text: string): boolean {
  const pieces = pattern.split('*');
  const [head, tail] = [pieces[0]!, pieces.at(-1)!];
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  const end = text.length - tail.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
