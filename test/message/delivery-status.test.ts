import { describe, expect, it } from 'vitest';
import { headerFields, parseDeliveryStatus } from '../../src/message/delivery-status.ts';
import { mail } from './mail.ts';

describe('parseDeliveryStatus', () => {
  it('reads each recipient of a report', () => {
    const report = mail(
      'Reporting-MTA: dns; mx.example.org',
      'Arrival-Date: Mon, 5 Jan 2026 10:00:00 +0100',
      '',
      'Final-Recipient: rfc822; alice@example.com',
      'Action: Failed',
      'Status: 5.1.1 (user unknown)',
      'Diagnostic-Code: smtp; 550 5.1.1 <alice@example.com>:',
      '    User unknown',
      '',
      'Original-Recipient: rfc822;<bob@example.com>',
      'Action: delayed',
      'Status: 4.4.1',
      '',
    );
    expect(parseDeliveryStatus(report, 100)).toEqual([
      {
        address: 'alice@example.com',
        action: 'failed',
        status: '5.1.1',
        diagnostic: '550 5.1.1 <alice@example.com>: User unknown',
      },
      { address: 'bob@example.com', action: 'delayed', status: '4.4.1', diagnostic: '' },
    ]);
  });

  it('takes what is all in one group', () => {
    const report = mail(
      'Reporting-MTA: dns; mx',
      'Final-Recipient: rfc822; a@b',
      'Action: failed',
      'Final-Recipient: rfc822; c@d',
      'Status: 5.0.0',
    );
    expect(parseDeliveryStatus(report, 100).map((recipient) => recipient.address)).toEqual(['a@b', 'c@d']);
  });

  it('stops at the bound and survives nonsense', () => {
    expect(
      parseDeliveryStatus(mail(...Array.from({ length: 50 }, () => 'Action: failed\r\n')), 7),
    ).toHaveLength(7);
    expect(parseDeliveryStatus(Buffer.from('no colon\n\n:\n : x\n__proto__: y'), 10)).toEqual([]);
  });
});

describe('headerFields', () => {
  it('reads fields up to the empty line', () => {
    expect(headerFields(mail('', 'A: 1', ' 2', 'junk', 'B: 3', '', 'C: 4'))).toEqual([
      { name: 'A', value: ' 1 2' },
      { name: 'B', value: ' 3' },
    ]);
  });
});
