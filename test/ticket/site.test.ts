import { describe, expect, it } from 'vitest';
import { matchSite, type SiteAddresses, type SiteMatch, type SiteSteps } from '../../src/ticket/site.ts';

const ALL: SiteSteps = {
  siteByPrefix: true,
  siteByWildcard: true,
  siteByDomain: true,
  siteByRecipient: true,
};
const site = (id: number, emailDomains: string[], toDomains: string[] = []): SiteAddresses => ({
  id,
  emailDomains,
  toDomains,
});
const SITES = [
  site(1, ['example.org']),
  site(2, ['berlin.@example.org', 'berlin.example.org']),
  site(3, ['*.example.org', 'berlin-*.example.net']),
  site(4, ['*.south.example.org'], ['desk-south.example', '*.south.example']),
  site(5, ['twice.example', '*.both.example']),
  site(6, ['twice.example', '*.both.example'], ['desk-twice.example']),
  site(7, [], ['desk-south.example.com']),
];

describe('matchSite', () => {
  const cases: [string, string, string[], Partial<SiteSteps>, SiteMatch | null][] = [
    ['the domain', 'ann@example.org', [], {}, { siteId: 1, by: 'domain' }],
    ['in any letters', 'Ann@Example.ORG', [], {}, { siteId: 1, by: 'domain' }],
    ['the beginning of the address first', 'berlin.ann@example.org', [], {}, { siteId: 2, by: 'prefix' }],
    [
      'not the beginning when it is off',
      'berlin.ann@example.org',
      [],
      { siteByPrefix: false },
      { siteId: 1, by: 'domain' },
    ],
    ['a beginning in another domain', 'berlin.ann@example.com', [], {}, null],
    ['the domain before a wildcard', 'ann@berlin.example.org', [], {}, { siteId: 2, by: 'domain' }],
    ['a wildcard', 'ann@paris.example.org', [], {}, { siteId: 3, by: 'wildcard' }],
    ['the longer wildcard', 'ann@a.south.example.org', [], {}, { siteId: 4, by: 'wildcard' }],
    ['a wildcard inside', 'ann@berlin-7.example.net', [], {}, { siteId: 3, by: 'wildcard' }],
    ['no wildcard when it is off', 'ann@paris.example.org', [], { siteByWildcard: false }, null],
    ['no domain that only ends alike', 'ann@notexample.org', [], {}, null],
    ['no domain when it is off', 'ann@example.org', [], { siteByDomain: false }, null],
    [
      'To and Cc',
      'ann@gmail.example',
      ['x@y.example', 'help@desk-south.example'],
      {},
      { siteId: 4, by: 'recipient' },
    ],
    [
      'To and Cc by wildcard',
      'ann@gmail.example',
      ['help@a.south.example'],
      {},
      { siteId: 4, by: 'recipient' },
    ],
    [
      'not To and Cc when that is off',
      'ann@gmail.example',
      ['help@desk-south.example'],
      { siteByRecipient: false },
      null,
    ],
    [
      'the sender before To and Cc',
      'ann@example.org',
      ['help@desk-south.example'],
      {},
      { siteId: 1, by: 'domain' },
    ],
    [
      'recipients of two sites',
      'ann@gmail.example',
      ['a@desk-south.example', 'b@desk-twice.example'],
      {},
      null,
    ],
    ['two sites that fit equally', 'ann@twice.example', [], {}, null],
    [
      'two sites that fit equally, then To',
      'ann@twice.example',
      ['a@desk-south.example'],
      {},
      { siteId: 4, by: 'recipient' },
    ],
    ['two sites by wildcard', 'ann@x.both.example', [], {}, null],
    ['an address without a domain', 'ann', ['', 'b'], {}, null],
    ['nothing', '', [], {}, null],
  ];
  it.each(cases)('%s', (_name, sender, recipients, steps, expected) => {
    expect(matchSite(sender, recipients, SITES, { ...ALL, ...steps })).toEqual(expected);
    expect(matchSite(sender, recipients, SITES.toReversed(), { ...ALL, ...steps })).toEqual(expected);
  });

  it('a wildcard with many stars is no trap', () => {
    const evil = site(1, [`${'*a'.repeat(150)}*b`]);
    expect(matchSite(`x@${'a'.repeat(250)}`, [], [evil], ALL)).toBeNull();
  });
});
