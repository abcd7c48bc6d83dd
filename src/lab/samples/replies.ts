/** Answers in open conversations, with the quoted chain in the styles of common mail programs. */
import { type Entity, type HeaderLine, multipartEntity, textEntity } from './compose.ts';
import { colleagueOf, DESK, firstName, type Person } from './people.ts';
import type { Random } from './random.ts';
import { FROM_A_PERSON } from './requests.ts';
import type { Expectation, Sample, SampleWriter } from './sample.ts';
import { escapeHtml, paragraphs, someFollowUp } from './words.ts';

const JOINS_ITS_TICKET: Expectation = { outcome: 'update', class: 'human', rule: null };

/** What the desk wrote in between; it is quoted, and never itself in the mailbox. */
const DESK_ANSWERS: readonly string[] = [
  'Thank you for your message. Could you restart the device and tell us whether it helps?',
  'We have looked into it and changed a setting. Please try again.',
  'We can come by on Tuesday after two. Does that suit you?',
  'Please send us the serial number, it is on the back.',
];

interface Chain {
  from: Person;
  text: string;
  answer: string;
  deskDate: Date;
}

type Style = (chain: Chain, random: Random) => Entity;

const STYLES: readonly Style[] = [
  gmailPlain,
  gmailHtml,
  outlookPlain,
  outlookHtml,
  appleMail,
  germanPlain,
  frenchPlain,
  inlineAnswers,
  originalMessage,
];

/** An answer to a sample, by the one who wrote it or by a colleague in copy. */
export function reply(writer: SampleWriter, to: Sample): Sample {
  const { random } = writer;
  const from = random.chance(0.8) ? to.from : colleagueOf(to.from, random);
  const chain: Chain = {
    from,
    text: someFollowUp(random),
    answer: random.pick(DESK_ANSWERS),
    deskDate: new Date((to.date.getTime() + writer.date.getTime()) / 2),
  };
  const deskMessageId = `reply.${random.hex(12)}@${DESK.host}`;
  return writer.write({
    kind: 'reply',
    from,
    subject: `${random.pick(['Re', 'RE', 'AW', 'Re'])}: ${withoutPrefix(to.subject)}`,
    entity: random.pick(STYLES)(chain, random),
    expect: JOINS_ITS_TICKET,
    // Most people answer what the desk wrote, which names the first message in its own References.
    answers: { ...to, thread: [...to.thread, deskMessageId] },
  });
}

/**
 * An answer that names its ticket in the subject and has no References, as from a program that drops them. It
 * joins the ticket when the writer has part in it.
 */
export function replyBySubjectTag(
  writer: SampleWriter,
  to: Sample,
  ticket: { id: number; startTag: string; endTag: string },
): Sample {
  const headers: HeaderLine[] = [['X-Mailer', 'Pocket Mail 2.1']];
  return writer.write({
    kind: 'reply',
    from: to.from,
    subject: `Re: ${withoutPrefix(to.subject)} ${ticket.startTag}${ticket.id}${ticket.endTag}`,
    entity: textEntity(`${someFollowUp(writer.random)}\n\n${firstName(to.from)}\n`),
    expect: JOINS_ITS_TICKET,
    follows: to,
    headers,
  });
}

/** A new question by somebody who pressed "reply" on a mail of their own: same subject, no reference. */
export function sameSubject(writer: SampleWriter, as: Sample): Sample {
  const from = writer.random.pick([as.from, colleagueOf(as.from, writer.random)]);
  return writer.write({
    kind: 'same-subject',
    from,
    subject: as.subject,
    entity: textEntity(
      `Hello,\n\nthis is another one of the kind, on a different machine.\n\n${firstName(from)}\n`,
    ),
    expect: FROM_A_PERSON,
    follows: as,
  });
}

function withoutPrefix(subject: string): string {
  return subject.replace(/^(?:Re|RE|AW): /, '');
}

function quoted(text: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '>' : `> ${line}`))
    .join('\n');
}

function deskLetter({ answer }: Chain): string {
  return `${answer}\n\n${DESK.name}`;
}

function signed({ text, from }: Chain): string {
  return `${text}\n\n${firstName(from)}\n`;
}

function gmailPlain(chain: Chain): Entity {
  const day = chain.deskDate.toUTCString().slice(0, 16);
  const head = `On ${day} at ${clock(chain.deskDate)}, ${DESK.name} <\n${DESK.address}> wrote:`;
  return textEntity(`${signed(chain)}\n${head}\n\n${quoted(deskLetter(chain))}\n`);
}

function gmailHtml(chain: Chain, random: Random): Entity {
  const html =
    `<div dir="ltr">${paragraphs(signed(chain))}</div><br>\n<div class="gmail_quote">` +
    `<div dir="ltr" class="gmail_attr">On ${chain.deskDate.toUTCString().slice(0, 16)}, ${DESK.name} ` +
    `&lt;<a href="mailto:${DESK.address}">${DESK.address}</a>&gt; wrote:<br></div>\n` +
    `<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">` +
    `${paragraphs(deskLetter(chain))}</blockquote></div>\n`;
  return multipartEntity('alternative', `000000000000${random.hex(16)}`, [
    gmailPlain(chain),
    textEntity(html, { subtype: 'html', encoding: 'quoted-printable' }),
  ]);
}

function outlookHead({ from, deskDate }: Chain): [string, string][] {
  return [
    ['From', `${DESK.name} <${DESK.address}>`],
    ['Sent', `${deskDate.toUTCString().slice(0, 16)} ${clock(deskDate)}`],
    ['To', `${from.name} <${from.address}>`],
    ['Subject', 'Re: your request'],
  ];
}

function outlookPlain(chain: Chain): Entity {
  const head = outlookHead(chain).map(([name, value]) => `${name}: ${value}`);
  return textEntity(`${signed(chain)}\n${'_'.repeat(32)}\n${head.join('\n')}\n\n${deskLetter(chain)}\n`);
}

function outlookHtml(chain: Chain): Entity {
  const head = outlookHead(chain).map(([name, value]) => `<b>${name}:</b> ${escapeHtml(value)}<br>`);
  const html =
    `<html xmlns:o="urn:schemas-microsoft-com:office:office"><body lang="EN-GB">` +
    `<div class="WordSection1">${paragraphs(signed(chain)).replaceAll('<p>', '<p class="MsoNormal">')}\n` +
    `<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">` +
    `<p class="MsoNormal">${head.join('\n')}</p></div>\n${paragraphs(deskLetter(chain))}</div></body></html>\n`;
  return textEntity(html, { subtype: 'html', encoding: 'quoted-printable' });
}

function appleMail(chain: Chain): Entity {
  const day = chain.deskDate.toUTCString().slice(5, 16);
  const head = `> On ${day}, at ${clock(chain.deskDate)}, ${DESK.name} <${DESK.address}> wrote:`;
  return textEntity(`${signed(chain)}\nSent from my phone\n\n${head}\n> \n${quoted(deskLetter(chain))}\n`);
}

function germanPlain(chain: Chain): Entity {
  const [day, month, year] = parts(chain.deskDate);
  const head = `Am ${day}.${month}.${year} um ${clock(chain.deskDate)} schrieb ${DESK.name}:`;
  return textEntity(`${signed(chain)}\n${head}\n${quoted(deskLetter(chain))}\n`);
}

function frenchPlain(chain: Chain): Entity {
  const [day, month, year] = parts(chain.deskDate);
  const head = `Le ${day}/${month}/${year} à ${clock(chain.deskDate)}, ${DESK.name} a écrit :`;
  return textEntity(`${signed(chain)}\n${head}\n${quoted(deskLetter(chain))}\n`);
}

/** Answers between the quoted lines, below a line of introduction. */
function inlineAnswers(chain: Chain): Entity {
  const head = `${DESK.name} wrote:`;
  return textEntity(`${head}\n${quoted(chain.answer)}\n\n${signed(chain)}\n${quoted(DESK.name)}\n`);
}

function originalMessage(chain: Chain): Entity {
  const head = outlookHead(chain).map(([name, value]) => `${name}: ${value}`);
  return textEntity(
    `${signed(chain)}\n-----Original Message-----\n${head.join('\n')}\n\n${deskLetter(chain)}\n`,
  );
}

function clock(date: Date): string {
  return date.toISOString().slice(11, 16);
}

function parts(date: Date): [day: string, month: string, year: string] {
  const [year = '', month = '', day = ''] = date.toISOString().slice(0, 10).split('-');
  return [day, month, year];
}
