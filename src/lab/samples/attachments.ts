/** Mail with things attached, in the shapes that trouble mail readers. */
import {
  composeMessage,
  type Entity,
  extendedFilename,
  type FileOptions,
  fileEntity,
  headerText,
  mailDate,
  messageEntity,
  multipartEntity,
  textEntity,
} from './compose.ts';
import { CUSTOMERS } from './people.ts';
import type { Random } from './random.ts';
import { FROM_A_PERSON } from './requests.ts';
import type { Draft, Sample, SampleKind, SampleWriter } from './sample.ts';
import { letter, paragraphs, someRequest } from './words.ts';

/** Above what is kept inside the database (LIMITS.inlineRawBytes), so that the file store is used too. */
const LARGE_BYTES = 400 * 1024;
const EXTENDED_NAMES = [
  { name: 'Übersicht Kostenstellen 2026.pdf', charset: 'utf-8', pieceLength: 0 },
  { name: 'compte-rendu d\u2019activité – été.pdf', charset: 'utf-8', pieceLength: 12 },
  { name: '見積書.pdf', charset: 'utf-8', pieceLength: 9 },
  { name: 'Prüfbericht Größe.pdf', charset: 'iso-8859-1', pieceLength: 0 },
] as const;

export function attachment(writer: SampleWriter): Sample {
  const { random } = writer;
  const files = random.pickSome(
    [
      () => fileEntity('photo.jpg', 'image/jpeg', picture(random)),
      () => fileEntity('report.pdf', 'application/pdf', pdf(random)),
      () => fileEntity('log.txt', 'text/plain; charset=utf-8', logFile(random)),
      () => fileEntity('figures.csv', 'text/csv; charset=utf-8', csvFile(random)),
    ],
    random.between(1, 3),
  );
  return write(writer, 'attachment', 'mixed', (text) => [text, ...files.map((make) => make())]);
}

/** A picture inside the HTML text, named by its Content-ID (RFC 2392). */
export function inlineImage(writer: SampleWriter): Sample {
  const { random } = writer;
  const contentId = `logo.${random.hex(6)}@${random.pick(CUSTOMERS).host}`;
  const image = fileEntity('logo.png', 'image/png', picture(random), { disposition: 'inline', contentId });
  return write(writer, 'inline-image', 'related', (_, plain) => {
    const html = `<html><body>${paragraphs(plain)}<img src="cid:${contentId}"></body></html>`;
    return [textEntity(html, { subtype: 'html', encoding: 'quoted-printable' }), image];
  });
}

/** A message forwarded as an attachment. */
export function nestedMessage(writer: SampleWriter): Sample {
  const { random } = writer;
  const author = random.pick(CUSTOMERS);
  const { subject, body } = someRequest(random);
  const inner = composeMessage(
    [
      ['Date', mailDate(new Date(writer.date.getTime() - 86_400_000), author.utcOffsetMinutes)],
      ['From', `${headerText(author.name)} <${author.address}>`],
      ['To', `helpdesk@${author.host}`],
      ['Subject', subject],
      ['Message-ID', `<inner.${random.hex(10)}@${author.host}>`],
    ],
    textEntity(letter(body, author, random)),
  );
  return write(writer, 'nested-message', 'mixed', (text) => [text, messageEntity(inner)]);
}

/** Three different files with one name. */
export function sameNames(writer: SampleWriter): Sample {
  const { random } = writer;
  return write(writer, 'same-names', 'mixed', (text) => [
    text,
    ...[1, 2, 3].map(() => fileEntity('image001.png', 'image/png', picture(random))),
  ]);
}

export function largeAttachment(writer: SampleWriter): Sample {
  const scan = Buffer.concat([Buffer.from('%PDF-1.7\n'), writer.random.bytes(LARGE_BYTES)]);
  return write(writer, 'large-attachment', 'mixed', (text) => [
    text,
    fileEntity('scan-of-all-pages.pdf', 'application/pdf', scan),
  ]);
}

/** A file name beyond ASCII, as RFC 2231 writes it: with charset, and in pieces. */
export function encodedFilename(writer: SampleWriter): Sample {
  const { random } = writer;
  const { name, charset, pieceLength } = random.pick(EXTENDED_NAMES);
  const options: FileOptions = { filenameParameter: extendedFilename(name, charset, pieceLength) };
  return write(writer, 'encoded-filename', 'mixed', (text) => [
    text,
    fileEntity(name, 'application/pdf', pdf(random), options),
  ]);
}

/** Its attachment's name begins with `invoice`, which a rule looks for. */
export function invoice(writer: SampleWriter): Sample {
  const number = writer.random.between(10_000, 99_999);
  return write(
    writer,
    'invoice',
    'mixed',
    (text) => [text, fileEntity(`Invoice-${number}.pdf`, 'application/pdf', pdf(writer.random))],
    { outcome: 'create', class: 'human', rule: 'Invoices by attachment name' },
  );
}

function write(
  writer: SampleWriter,
  kind: SampleKind,
  type: string,
  parts: (text: Entity, plain: string) => Entity[],
  expect: Draft['expect'] = FROM_A_PERSON,
): Sample {
  const { random } = writer;
  const from = random.pick(CUSTOMERS);
  const { subject, body } = someRequest(random);
  const plain = letter(body, from, random);
  const entity = multipartEntity(type, `=_${random.hex(20)}`, parts(textEntity(plain), plain));
  return writer.write({ kind, from, subject, entity, expect });
}

/** A PDF file of one page that says nothing much, but opens. */
function pdf(random: Random): Buffer {
  const text = `BT /F1 24 Tf 72 720 Td (Page ${random.between(1, 99)}) Tj ET`;
  return Buffer.from(
    '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
      '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj\n' +
      `4 0 obj<</Length ${text.length}>>stream\n${text}\nendstream endobj\n` +
      '5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n',
  );
}

/** Begins like a picture; what follows is noise. */
function picture(random: Random): Buffer {
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, random.bytes(random.between(500, 3_000))]);
}

function logFile(random: Random): Buffer {
  const lines = Array.from({ length: random.between(5, 40) }, (_, index) => {
    const level = random.pick(['INFO', 'WARN', 'ERROR']);
    return `10:${String(index % 60).padStart(2, '0')}:07 ${level} worker-${random.between(1, 8)} step ${random.hex(6)}`;
  });
  return Buffer.from(`${lines.join('\n')}\n`);
}

function csvFile(random: Random): Buffer {
  const rows = Array.from({ length: 12 }, (_, month) => `${month + 1};${random.between(100, 9_000)}`);
  return Buffer.from(`\ufeffmonth;amount\r\n${rows.join('\r\n')}\r\n`);
}
