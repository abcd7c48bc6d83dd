import { canonicalAddress } from '../message/address-form.ts';
import type { Address } from '../message/message.ts';
import type { GlobalPolicy, MailboxPolicy } from './policy.ts';
import type { UserClaim } from './rule-claims.ts';
import type { SiteMatch } from './site.ts';

/** A requester as it is stored. Addresses in any case. */
export interface KnownRequester {
  id: number;
  name: string;
  address: string;
  alternativeAddresses: readonly string[];
  login: string;
  isAgent: boolean;
}

export interface RequesterFacts {
  /** Requesters who have one of the addresses of {@link requesterQuery}, as their first or another address. */
  candidates: readonly KnownRequester[];
  /** Requesters that a rule's user slot leads to; empty when there is no such rule. */
  claimed: readonly KnownRequester[];
  /** The site of a new requester, by the address; null = the mailbox's site for new requesters. */
  siteOf(address: string): SiteMatch | null;
}

/** Who a ticket is for. Each with the reason in plain words. */
export type RequesterDecision =
  | { kind: 'known'; id: number; isAgent: boolean; reason: string }
  | { kind: 'create'; name: string; address: string; siteId: number; welcome: boolean; reason: string }
  | { kind: 'default'; id: number; reason: string }
  /** Nobody, and that is no obstacle: our own mail, or mail of machines. */
  | { kind: 'none'; reason: string }
  | { kind: 'park'; reason: string }
  | { kind: 'drop'; reason: string };

const NAME_CHARS = 255;

/** The addresses, in lower case, that requesters must be looked up by. */
export function requesterQuery(sender: Address | null, claim: UserClaim | null): string[] {
  const addresses = new Set<string>();
  if (sender !== null && sender.address !== '') addresses.add(normal(sender.address));
  if (claim?.by === 'address') addresses.add(normal(claim.value));
  return [...addresses];
}

/**
 * Finds the requester of a message. A rule's user slot comes before the sender, because such mail is sent by a
 * machine for somebody. Our own addresses never are a requester: the answer to them would come back to us.
 */
export function resolveRequester(
  sender: Address | null,
  claim: UserClaim | null,
  facts: RequesterFacts,
  policy: { mailbox: MailboxPolicy; global: GlobalPolicy; ownAddresses: readonly string[] },
): RequesterDecision {
  const own = new Set(policy.ownAddresses.map(canonicalAddress));
  const isOwn = (address: string) => own.has(canonicalAddress(address));

  if (claim !== null && !(claim.by === 'address' && isOwn(claim.value))) {
    const found = facts.claimed.filter((requester) => answersTo(requester, claim, policy.global));
    const [one] = found;
    if (one !== undefined && found.length === 1) return known(one, `named by the rule: ${claim.by}`);
    if (one === undefined && claim.by === 'address' && isAddress(claim.value)) {
      return unmatched({ name: '', address: claim.value }, facts, policy.mailbox, 'named by the rule');
    }
    // A name that nobody or several people have says nothing; the sender decides.
  }
  if (sender === null || sender.address === '') {
    return unmatched(null, facts, policy.mailbox, 'the message has no sender');
  }
  if (isOwn(sender.address)) return { kind: 'none', reason: 'the sender is one of our mailboxes' };
  const match = byAddress(facts.candidates, sender.address, policy.global);
  if (match !== null) return known(match.requester, match.reason);
  return unmatched(sender, facts, policy.mailbox, 'the sender matches nobody');
}

/** The form of an address by which two are the same. */
export function comparableAddress(address: string): string {
  return normal(address);
}

/** The requester with an address: by the first address, then, when switched on, by another one if it is unique. */
export function byAddress(
  candidates: readonly KnownRequester[],
  address: string,
  policy: Pick<GlobalPolicy, 'alternativeAddresses'>,
): { requester: KnownRequester; reason: string } | null {
  const wanted = normal(address);
  const first = candidates.find((candidate) => normal(candidate.address) === wanted);
  if (first !== undefined) return { requester: first, reason: 'by address' };
  if (!policy.alternativeAddresses) return null;
  const others = candidates.filter((candidate) =>
    candidate.alternativeAddresses.some((one) => normal(one) === wanted),
  );
  return others.length === 1 ? { requester: others[0]!, reason: 'by another address' } : null;
}

function answersTo(requester: KnownRequester, claim: UserClaim, policy: GlobalPolicy): boolean {
  if (claim.by === 'address') return byAddress([requester], claim.value, policy) !== null;
  return normal(claim.by === 'name' ? requester.name : requester.login) === normal(claim.value);
}

function unmatched(
  sender: Address | null,
  facts: RequesterFacts,
  policy: MailboxPolicy,
  why: string,
): RequesterDecision {
  switch (policy.unmatchedUsers) {
    case 'create':
      // Without an address there is nobody to create, and nobody to lose either.
      if (sender === null || !isAddress(sender.address))
        return byDefault(policy, `${why}, and has no usable address`);
      return create(sender, facts.siteOf(sender.address), policy, why);
    case 'default':
      return byDefault(policy, why);
    case 'park':
      return { kind: 'park', reason: why };
    case 'drop':
      return { kind: 'drop', reason: why };
  }
}

function create(
  sender: Address,
  site: SiteMatch | null,
  policy: MailboxPolicy,
  why: string,
): RequesterDecision {
  return {
    kind: 'create',
    name: nameOf(sender, policy),
    address: sender.address.trim(),
    siteId: site?.siteId ?? policy.newRequesterSiteId,
    welcome: policy.newRequesterWelcome,
    reason: site === null ? why : `${why}; site by ${site.by}`,
  };
}

function byDefault(policy: MailboxPolicy, why: string): RequesterDecision {
  if (policy.defaultRequesterId > 0) return { kind: 'default', id: policy.defaultRequesterId, reason: why };
  return { kind: 'park', reason: `${why}, and the mailbox has no default requester` };
}

function known({ id, isAgent }: KnownRequester, reason: string): RequesterDecision {
  return { kind: 'known', id, isAgent, reason };
}

function nameOf(sender: Address, policy: MailboxPolicy): string {
  const address = sender.address.trim();
  // Control characters in a name would travel on into the headers of what is sent to this person.
  const name = sender.name.replace(/\p{Cc}+/gu, ' ').trim();
  return (policy.newRequesterNamedByAddress || name === '' ? address : name)
    .slice(0, NAME_CHARS)
    .toWellFormed();
}

/** Enough of an address to write to: something, an `@`, something, and neither spaces nor control characters. */
function isAddress(text: string): boolean {
  const address = text.trim();
  const at = address.lastIndexOf('@');
  return at > 0 && at < address.length - 1 && address.length <= 320 && !/[\s\p{Cc}<>]/u.test(address);
}

/** Names and addresses are the same whatever their case, and with blanks around them. */
function normal(text: string): string {
  return text.trim().toLowerCase();
}
