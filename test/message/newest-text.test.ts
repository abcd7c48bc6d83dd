import { describe, expect, it } from 'vitest';
import { newestText } from '../../src/message/newest-text.ts';

const NEWEST = 'It works again, thank you.';
const OLD = 'Please restart the router.';
const QUOTED = `> ${OLD}\n>\n> Alice`;

describe('newestText', () => {
  it.each([
    ['Gmail', `${NEWEST}\n\nOn Mon, Jan 5, 2026 at 10:00 AM Alice <alice@example.com> wrote:\n\n${QUOTED}`],
    [
      'Gmail, broken over two lines',
      `${NEWEST}\n\nOn Mon, Jan 5, 2026 at 10:00 AM Alice Longname <\nalice@example.com> wrote:\n\n${QUOTED}`,
    ],
    [
      'Gmail, broken before the verb',
      `${NEWEST}\nOn Mon, Jan 5, 2026 at 10:00 AM Alice <alice@example.com>\nwrote:\n${QUOTED}`,
    ],
    [
      'Gmail without a verb',
      `${NEWEST}\n\n2026-01-05 10:00 GMT+01:00 Alice <alice@example.com>:\n\n${QUOTED}`,
    ],
    ['Apple Mail', `${NEWEST}\n\n> On 5 Jan 2026, at 10:00, Alice <alice@example.com> wrote:\n> \n> ${OLD}`],
    [
      'Apple Mail, German',
      `${NEWEST}\n\n> Am 05.01.2026 um 10:00 schrieb Alice <alice@example.com>:\n> \n> ${OLD}`,
    ],
    ['Thunderbird', `${NEWEST}\n\nOn 1/5/26 10:00, Alice wrote:\n${QUOTED}`],
    ['Thunderbird, German', `${NEWEST}\n\nAm 05.01.26 um 10:00 schrieb Alice:\n${QUOTED}`],
    ['Thunderbird, French', `${NEWEST}\n\nLe 05/01/2026 à 10:00, Alice a écrit :\n${QUOTED}`],
    [
      'Spanish',
      `${NEWEST}\n\nEl lun, 5 ene 2026 a las 10:00, Alice (<alice@example.com>) escribió:\n\n${QUOTED}`,
    ],
    [
      'Portuguese',
      `${NEWEST}\n\nEm seg., 5 de jan. de 2026 às 10:00, Alice <alice@example.com> escreveu:\n\n${QUOTED}`,
    ],
    [
      'Italian',
      `${NEWEST}\n\nIl giorno lun 5 gen 2026 alle ore 10:00 Alice <alice@example.com> ha scritto:\n\n${QUOTED}`,
    ],
    ['Dutch', `${NEWEST}\n\nOp ma 5 jan 2026 om 10:00 schreef Alice <alice@example.com>:\n\n${QUOTED}`],
    ['Swedish', `${NEWEST}\n\nDen mån 5 jan. 2026 kl 10:00 skrev Alice <alice@example.com>:\n\n${QUOTED}`],
    ['Polish', `${NEWEST}\n\npon., 5 sty 2026 o 10:00 Alice <alice@example.com> napisał(a):\n\n${QUOTED}`],
    ['Russian', `${NEWEST}\n\nпн, 5 янв. 2026 г. в 10:00, Alice <alice@example.com> написал:\n\n${QUOTED}`],
    ['Chinese', `${NEWEST}\n\n在 2026年1月5日 10:00,Alice <alice@example.com> 写道：\n\n${QUOTED}`],
    [
      'an attribution without quote marks',
      `${NEWEST}\n\nOn Mon, Jan 5, 2026 at 10:00 AM Alice <alice@example.com> wrote:\n\n${OLD}\nAlice`,
    ],
    ['Outlook', `${NEWEST}\n\n-----Original Message-----\nFrom: Alice\nSent: Monday\n\n${OLD}`],
    [
      'Outlook, German',
      `${NEWEST}\n\n-----Ursprüngliche Nachricht-----\nVon: Alice\nGesendet: Montag\n\n${OLD}`,
    ],
    ['Outlook, French', `${NEWEST}\n\n-----Message d'origine-----\nDe : Alice\n\n${OLD}`],
    [
      'Exchange',
      `${NEWEST}\n\n________________________________\nFrom: Alice <alice@example.com>\nSent: Monday, January 5, 2026 10:00 AM\nTo: Bob\nSubject: Router\n\n${OLD}`,
    ],
    [
      'Exchange, German',
      `${NEWEST}\n\nVon: Alice <alice@example.com>\nGesendet: Montag, 5. Januar 2026 10:00\nAn: Bob\nBetreff: Router\n\n${OLD}`,
    ],
    [
      'Exchange, French',
      `${NEWEST}\n\nDe : Alice <alice@example.com>\nEnvoyé : lundi 5 janvier 2026 10:00\nÀ : Bob\nObjet : Router\n\n${OLD}`,
    ],
    [
      'Exchange, Spanish',
      `${NEWEST}\n\nDe: Alice\nEnviado el: lunes, 5 de enero de 2026 10:00\nPara: Bob\nAsunto: Router\n\n${OLD}`,
    ],
    [
      'Exchange, Japanese',
      `${NEWEST}\n\n差出人: Alice\n送信日時: 2026年1月5日 10:00\n宛先: Bob\n件名: Router\n\n${OLD}`,
    ],
    [
      'Outlook in bold',
      `${NEWEST}\n\n*From:* Alice <alice@example.com>\n*Sent:* Monday, January 5, 2026 10:00 AM\n*To:* Bob\n*Subject:* Router\n\n${OLD}`,
    ],
    [
      'a header block with empty lines',
      `${NEWEST}\n\nFrom: Alice\n\nSent: Monday\n\nTo: Bob\n\nSubject: Router\n\n${OLD}`,
    ],
    [
      'Zoho',
      `${NEWEST}\n\n---- On Mon, 05 Jan 2026 10:00:00 +0100 Alice <alice@example.com> wrote ----\n\n${OLD}`,
    ],
    ['Apple forward', `${NEWEST}\n\nBegin forwarded message:\n\nFrom: Alice\n\n${OLD}`],
    ['Gmail forward', `${NEWEST}\n\n---------- Forwarded message ---------\nFrom: Alice\n\n${OLD}`],
    ['a helpdesk marker', `${NEWEST}\n\n## Please type your reply above this line ##\n\n${OLD}`],
  ])('cuts the chain of %s', (_name, text) => {
    expect(newestText(text)).toBe(NEWEST);
  });

  it('keeps answers between quotes and below them', () => {
    const text = 'Hi,\n\nOn Mon, Jan 5, 2026 at 10:00 Alice wrote:\n> First?\nYes.\n> Second?\nNo.\n\nBob';
    expect(newestText(text)).toBe('Hi,\n\nYes.\nNo.\n\nBob');
  });

  it.each([
    ['nothing but a forward', `---------- Forwarded message ---------\nFrom: Alice\n\n${OLD}`],
    ['nothing but a quote', QUOTED],
    ['plain prose', 'From: the beginning I wrote:\nthat it works.\nTo: be clear.'],
    ['an alert', 'Host: web1\nState: DOWN\nDate: 2026-01-05 10:00\nFrom: monitor'],
    ['a signature', 'Hello\n\n-- \nBob\nExample Ltd'],
    ['a rule', 'Above\n-----\nBelow'],
    ['an arrow', 'a -> b\n--> c'],
    ['prose with a colon', 'On Monday we wrote to you about this:\n- one\n- two'],
  ])('leaves %s whole', (_name, text) => {
    expect(newestText(text)).toBe(text.trim());
  });

  it('is empty for an empty text', () => {
    expect(newestText('')).toBe('');
    expect(newestText(' \n\n ')).toBe('');
  });

  it.each([
    ['markers', 'wrote:\n'],
    ['labels', 'From: x\n'],
    ['dashes', '-----\n'],
    ['colons', ':\n'],
    ['quotes', '> x\n'],
    ['attributions', 'On 1 at 10:00 x\n'],
    ['one endless line', 'On at wrote: '],
  ])('ends on a megabyte of %s', (_name, piece) => {
    const text = piece.repeat(1_000_000 / piece.length);
    expect(newestText(text).length).toBeLessThanOrEqual(text.length);
  });
});
