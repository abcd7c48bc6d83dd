import { describe, expect, it } from 'vitest';
import type { Address } from '../../src/message/message.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { defaultGlobalPolicy, type MailboxPolicy } from '../../src/ticket/policy.ts';
import {
  type KnownRequester,
  type RequesterFacts,
  requesterQuery,
  resolveRequester,
} from '../../src/ticket/requester.ts';
import type { UserClaim } from '../../src/ticket/rule-claims.ts';

const anna: KnownRequester = {
  id: 1,
  name: 'Anna Ek',
  address: 'Anna@customer.example',
  alternativeAddresses: ['anna@home.example'],
  login: 'aek',
  isAgent: false,
};
const bob: KnownRequester = {
  ...anna,
  id: 2,
  name: 'Bob',
  address: 'bob@customer.example',
  alternativeAddresses: ['shared@customer.example'],
  login: 'bob',
  isAgent: true,
};
const sender = (address: string, name = ''): Address => ({ name, address });

function resolve(
  from: Address | null,
  options: {
    claim?: UserClaim;
    facts?: Partial<RequesterFacts>;
    mailbox?: Partial<MailboxPolicy>;
    alternativeAddresses?: boolean;
  } = {},
) {
  return resolveRequester(
    from,
    options.claim ?? null,
    { candidates: [anna, bob], claimed: [], siteOf: () => null, ...options.facts },
    {
      mailbox: { ...defaultMailboxSettings('', '').policy, ...options.mailbox },
      global: { ...defaultGlobalPolicy(), alternativeAddresses: options.alternativeAddresses ?? false },
      ownAddresses: ['help@desk.example'],
    },
  );
}

describe('a known sender', () => {
  it('is found by the first address, without case', () => {
    expect(resolve(sender(' ANNA@customer.example '))).toEqual({
      kind: 'known',
      id: 1,
      isAgent: false,
      reason: 'by address',
    });
    expect(resolve(sender('bob@customer.example'))).toMatchObject({ id: 2, isAgent: true });
  });

  it("is found by another address when that is switched on, and the address is one person's", () => {
    expect(resolve(sender('anna@home.example'))).toMatchObject({ kind: 'create' });
    expect(resolve(sender('anna@home.example'), { alternativeAddresses: true })).toMatchObject({
      kind: 'known',
      id: 1,
    });
    const shared = { ...anna, alternativeAddresses: ['shared@customer.example'] };
    const facts = { candidates: [shared, bob] };
    expect(resolve(sender('shared@customer.example'), { alternativeAddresses: true, facts })).toMatchObject({
      kind: 'create',
    });
  });

  it('is not found by what only looks alike', () => {
    for (const address of ['anna@customer.example.evil', 'xanna@customer.example', 'anna@customer']) {
      expect(resolve(sender(address)).kind).toBe('create');
    }
  });
});

describe('an unknown sender', () => {
  const stranger = sender('new@customer.example', 'New One');
  it.each<[string, Address | null, Partial<MailboxPolicy>, object]>([
    [
      'is created',
      stranger,
      { newRequesterSiteId: 3, newRequesterWelcome: true },
      { kind: 'create', name: 'New One', address: 'new@customer.example', siteId: 3, welcome: true },
    ],
    [
      'is created by the name of the address',
      stranger,
      { newRequesterNamedByAddress: true },
      { kind: 'create', name: 'new@customer.example' },
    ],
    [
      'without a name is named by the address',
      sender('new@customer.example'),
      {},
      { kind: 'create', name: 'new@customer.example' },
    ],
    [
      'becomes the default requester',
      stranger,
      { unmatchedUsers: 'default', defaultRequesterId: 9 },
      { kind: 'default', id: 9 },
    ],
    [
      'is parked where there is no default requester',
      stranger,
      { unmatchedUsers: 'default' },
      { kind: 'park' },
    ],
    ['is parked', stranger, { unmatchedUsers: 'park', defaultRequesterId: 9 }, { kind: 'park' }],
    ['is dropped', stranger, { unmatchedUsers: 'drop' }, { kind: 'drop' }],
    [
      'without a usable address becomes the default requester',
      sender('nonsense'),
      { defaultRequesterId: 9 },
      { kind: 'default', id: 9 },
    ],
    ['without a local part has no usable address', sender('@customer.example'), {}, { kind: 'park' }],
    ['without a usable address is parked when there is none', sender('a b@c'), {}, { kind: 'park' }],
    [
      'that is nobody is parked',
      null,
      {},
      {
        kind: 'park',
        reason:
          'the message has no sender, and has no usable address, and the mailbox has no default requester',
      },
    ],
    [
      'that is nobody is dropped where unknown ones are',
      sender(''),
      { unmatchedUsers: 'drop' },
      { kind: 'drop' },
    ],
  ])('%s', (_, from, mailbox, expected) => {
    expect(resolve(from, { mailbox })).toMatchObject(expected);
  });

  it('comes to the site that was found for it', () => {
    expect(
      resolve(stranger, {
        facts: { siteOf: () => ({ siteId: 8, by: 'domain' }) },
        mailbox: { newRequesterSiteId: 3 },
      }),
    ).toMatchObject({
      siteId: 8,
    });
  });

  it('gets a name without line breaks, of bounded length, and of whole characters (T28)', () => {
    const named = (name: string) => (resolve(sender('n@x.example', name)) as { name: string }).name;
    expect(named('Eve\r\nBcc: all@x.example')).toBe('Eve Bcc: all@x.example');
    expect(named('\u0000\u001b')).toBe('n@x.example');
    expect(named('😀'.repeat(500)).length).toBeLessThanOrEqual(255);
    expect(named('😀'.repeat(500)).isWellFormed()).toBe(true);
  });
});

describe('our own addresses', () => {
  it('are never a requester, not even known or with a subaddress', () => {
    const desk = { ...anna, id: 9, address: 'help@desk.example' };
    for (const address of ['help@desk.example', 'HELP+tag@Desk.example']) {
      expect(resolve(sender(address), { facts: { candidates: [desk] } })).toMatchObject({ kind: 'none' });
    }
    const claim = { by: 'address', value: 'help@desk.example' } as const;
    expect(resolve(sender('bob@customer.example'), { claim, facts: { claimed: [desk] } })).toMatchObject({
      kind: 'known',
      id: 2,
    });
  });
});

describe('a user named by a rule', () => {
  const robot = sender('robot@monitor.example');
  it.each<[string, UserClaim, KnownRequester[], object]>([
    ['by address', { by: 'address', value: 'anna@customer.example' }, [anna], { kind: 'known', id: 1 }],
    ['by name', { by: 'name', value: 'anna ek' }, [anna], { kind: 'known', id: 1 }],
    ['by login', { by: 'login', value: 'AEK' }, [anna], { kind: 'known', id: 1 }],
    [
      'by a name of two',
      { by: 'name', value: 'Anna Ek' },
      [anna, { ...anna, id: 3 }],
      { kind: 'create', address: 'robot@monitor.example' },
    ],
    [
      'by a name of nobody',
      { by: 'name', value: 'Nobody' },
      [],
      { kind: 'create', address: 'robot@monitor.example' },
    ],
    [
      'by a new address',
      { by: 'address', value: 'new@customer.example' },
      [],
      { kind: 'create', address: 'new@customer.example' },
    ],
    [
      'by what is no address',
      { by: 'address', value: 'anna' },
      [],
      { kind: 'create', address: 'robot@monitor.example' },
    ],
    [
      'by a fact that does not fit',
      { by: 'login', value: 'bob' },
      [anna],
      { kind: 'create', address: 'robot@monitor.example' },
    ],
  ])('%s', (_, claim, claimed, expected) => {
    expect(resolve(robot, { claim, facts: { claimed, candidates: [] } })).toMatchObject(expected);
  });
});

describe('what has to be looked up', () => {
  it('is the sender and an address named by the rule', () => {
    expect(requesterQuery(sender('Anna@X.example'), null)).toEqual(['anna@x.example']);
    expect(requesterQuery(sender('a@x'), { by: 'address', value: 'B@x' })).toEqual(['a@x', 'b@x']);
    expect(requesterQuery(sender('a@x'), { by: 'login', value: 'b' })).toEqual(['a@x']);
    expect(requesterQuery(null, null)).toEqual([]);
  });
});
