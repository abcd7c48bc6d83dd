/** Requests of people: plain text and HTML, as different mail programs write them. */
import { multipartEntity, textEntity } from './compose.ts';
import { CUSTOMERS, type Person, VIP } from './people.ts';
import type { Draft, Expectation, Sample, SampleWriter } from './sample.ts';
import { letter, paragraphs, someRequest } from './words.ts';

export const FROM_A_PERSON: Expectation = { outcome: 'create', class: 'human', rule: null };

export function plain(writer: SampleWriter): Sample {
  const { random } = writer;
  const from = random.pick(CUSTOMERS);
  const { subject, body } = someRequest(random);
  const flowed = random.chance(0.3);
  return writer.write({
    kind: 'plain',
    from,
    subject,
    entity: textEntity(letter(body, from, random), { parameters: flowed ? 'format=flowed' : '' }),
    expect: FROM_A_PERSON,
    headers: random.chance(0.3) ? [['Cc', `${random.pick(CUSTOMERS).address}`]] : [],
  });
}

export function htmlAlternative(writer: SampleWriter): Sample {
  const { random } = writer;
  const { draft, text } = request(writer, 'html-alternative', random.pick(CUSTOMERS));
  const html = `<html><head><style>p { font-family: sans-serif }</style></head><body>\n${paragraphs(text)}\n</body></html>\n`;
  const parts = [textEntity(text), textEntity(html, { subtype: 'html', encoding: 'quoted-printable' })];
  return writer.write({
    ...draft,
    entity: multipartEntity('alternative', `alt-${random.hex(16)}`, parts),
  });
}

/** As mobile and marketing programs write; with a list, a link and a picture that must not be fetched. */
export function htmlOnly(writer: SampleWriter): Sample {
  const { random } = writer;
  const { draft, text } = request(writer, 'html-only', random.pick(CUSTOMERS));
  const html =
    `<!DOCTYPE html><html><body><div dir="auto">${paragraphs(text)}` +
    `<ul><li>since ${random.pick(['Monday', 'Tuesday', 'last week'])}</li>` +
    `<li>tried: restart, other cable</li></ul>` +
    `<a href="https://intranet.${draft.from.host}/assets/${random.between(1, 900)}">the device</a>` +
    `<img src="https://track.example.net/pixel/${random.hex(8)}.gif" width="1" height="1" alt="">` +
    '</div></body></html>\n';
  return writer.write({
    ...draft,
    entity: textEntity(html, { subtype: 'html', encoding: random.pick(['base64', 'quoted-printable']) }),
  });
}

export function vip(writer: SampleWriter): Sample {
  const { draft, text } = request(writer, 'vip', VIP);
  return writer.write({
    ...draft,
    entity: textEntity(text),
    expect: { outcome: 'create', class: 'human', rule: 'VIP: Eleanor Marsh' },
    headers: [
      ['X-Priority', '1'],
      ['Importance', 'high'],
    ],
  });
}

/** Names a ticket that is not there: a tag alone, from somebody who has no part in it, joins nothing. */
export function strangerWithTag(writer: SampleWriter): Sample {
  const { random } = writer;
  const { draft, text } = request(writer, 'stranger-with-tag', random.pick(CUSTOMERS));
  const ticket = random.between(900_000, 999_999);
  return writer.write({ ...draft, subject: `Re: ${draft.subject} [ID:${ticket}]`, entity: textEntity(text) });
}

function request(
  { random }: SampleWriter,
  kind: Draft['kind'],
  from: Person,
): { draft: Omit<Draft, 'entity'>; text: string } {
  const { subject, body } = someRequest(random);
  return { draft: { kind, from, subject, expect: FROM_A_PERSON }, text: letter(body, from, random) };
}
