/** Mail that programs and companies send to many: orders, status pages, suppliers, newsletters. */
import { multipartEntity, textEntity } from './compose.ts';
import { CLOUD_STATUS, CUSTOMERS, DESK, NEWS, person, SHOP, SUPPLIER } from './people.ts';
import type { Random } from './random.ts';
import { FROM_A_PERSON } from './requests.ts';
import type { Sample, SampleWriter } from './sample.ts';
import { escapeHtml, paragraphs } from './words.ts';

const GOODS = [
  { article: 'KB-104', name: 'Keyboard, quiet', price: 39.5 },
  { article: 'MO-027', name: 'Monitor 27"', price: 289 },
  { article: 'DK-201', name: 'Dock, USB-C', price: 149.9 },
  { article: 'HS-330', name: 'Headset', price: 89 },
  { article: 'LT-514', name: 'Laptop 14"', price: 1_190 },
  { article: 'CB-010', name: 'Cable 2 m', price: 7.25 },
] as const;
const CLOUD_SERVICES = ['Object storage', 'Block storage', 'Load balancers', 'Name service'] as const;
const HEADLINES = [
  'Five valves that changed shipping',
  'How to read a pressure gauge',
  'Winter is coming for your pipes',
  'The history of the hydrant',
] as const;

/** An order with `key: value` lines and a table of goods, from which a rule fills fields. */
export function order(writer: SampleWriter): Sample {
  const { random } = writer;
  const buyer = random.pick(CUSTOMERS);
  const number = `SO-${random.between(100_000, 999_999)}`;
  const items = random
    .pickSome(GOODS, random.between(1, 4))
    .map((goods) => ({ ...goods, count: random.between(1, 12) }));
  const total = items.reduce((sum, { price, count }) => sum + price * count, 0).toFixed(2);
  const facts: [string, string][] = [
    ['Order number', number],
    ['Requested by', buyer.address],
    ['Cost centre', String(random.between(1000, 9999))],
    ['Deliver to', `Building ${random.pick(['A', 'B', 'C'])}, floor ${random.between(0, 5)}`],
    ['Priority', random.pick(['Normal', 'Urgent', 'Low'])],
    ['Total', `${total} EUR`],
  ];
  const lines = facts.map(([name, value]) => `${name}: ${value}`);
  const text = [
    'A new order has been placed.',
    '',
    ...lines,
    '',
    'Article | Name | Pieces | Price',
    '--- | --- | --- | ---',
    ...items.map(
      ({ article, name, count, price }) => `${article} | ${name} | ${count} | ${price.toFixed(2)}`,
    ),
    '',
  ].join('\n');
  const rows = items.map(
    ({ article, name, count, price }) =>
      `<tr><td>${article}</td><td>${escapeHtml(name)}</td><td>${count}</td><td>${price.toFixed(2)}</td></tr>`,
  );
  const html =
    `<html><body>${paragraphs(`A new order has been placed.\n\n${lines.join('\n')}`)}\n` +
    '<table><thead><tr><th>Article</th><th>Name</th><th>Pieces</th><th>Price</th></tr></thead>\n' +
    `<tbody>\n${rows.join('\n')}\n</tbody></table></body></html>\n`;
  const plain = textEntity(text);
  return writer.write({
    kind: 'order',
    from: SHOP,
    subject: `New order ${number}`,
    entity: random.chance(0.5)
      ? multipartEntity('alternative', `order-${random.hex(16)}`, [
          plain,
          textEntity(html, { subtype: 'html', encoding: 'quoted-printable' }),
        ])
      : plain,
    expect: { outcome: 'create', class: 'human', rule: 'Orders' },
  });
}

/** From the status page of a hosting company. */
export function serviceStatus(writer: SampleWriter): Sample {
  const { random } = writer;
  const service = random.pick(CLOUD_SERVICES);
  const status = random.pick(['Degraded performance', 'Partial outage', 'Operational', 'Under maintenance']);
  return writer.write({
    kind: 'service-status',
    from: CLOUD_STATUS,
    subject: `Status update: ${service}`,
    entity: textEntity(
      `Service: ${service}\nStatus: ${status}\nRegion: eu-${random.pick(['north', 'west'])}\n\n` +
        'You receive this message because you follow our status page.\n',
    ),
    headers: [['Auto-Submitted', 'auto-generated']],
    expect: { outcome: 'service_status', class: 'auto-generated', rule: 'Hosting status' },
  });
}

/** A supplier tells how far a case of theirs has got; their reference ties the mails of a case together. */
export function supplierUpdate(writer: SampleWriter, earlier: Sample | null): Sample {
  const { random } = writer;
  const reference = (earlier && referenceIn(earlier.subject)) ?? `CL-${random.between(10_000, 99_999)}`;
  const news = earlier
    ? random.pick(['The part has left our warehouse.', 'The engineer will come tomorrow before noon.'])
    : random.pick(['We have opened a case for you.', 'Your request has reached us and has a number now.']);
  return writer.write({
    kind: 'supplier-update',
    from: SUPPLIER,
    subject: `Case ${reference}: update`,
    entity: textEntity(`Dear customer,\n\n${news}\n\nSupplier reference: ${reference}\nEngineer: R. Quill\n`),
    follows: earlier ?? undefined,
    expect: { outcome: earlier ? 'update' : 'create', class: 'human', rule: 'Copperline cases' },
  });
}

function referenceIn(subject: string): string | null {
  return /CL-\d+/.exec(subject)?.[0] ?? null;
}

export function newsletter(writer: SampleWriter): Sample {
  const { random } = writer;
  const issue = random.between(100, 999);
  const headline = random.pick(HEADLINES);
  return writer.write({
    kind: 'newsletter',
    from: NEWS,
    subject: `${headline} (issue ${issue})`,
    entity: textEntity(
      `<html><body><h1>${headline}</h1><p>Dear reader, this week we have news of all valves.</p>` +
        `<p><a href="https://weeklyvalve.example.org/leave?r=${random.hex(8)}">Unsubscribe</a></p></body></html>\n`,
      { subtype: 'html', encoding: 'quoted-printable' },
    ),
    headers: [
      ['List-Id', 'The Weekly Valve <news.weeklyvalve.example.org>'],
      ['List-Unsubscribe', `<https://weeklyvalve.example.org/leave?r=${random.hex(8)}>`],
      ['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'],
      ['Precedence', 'bulk'],
    ],
    expect: { outcome: 'ignore', class: 'list', rule: 'Newsletters' },
  });
}

/** People talk on a discussion list that the desk reads too: a list, but no newsletter. */
export function mailingList(writer: SampleWriter): Sample {
  const { random } = writer;
  const author = random.pick(CUSTOMERS);
  const { subject, body } = listTalk(random);
  const list = person('Facilities', 'facilities', 'lists.example.org', 0);
  return writer.write({
    kind: 'mailing-list',
    from: author,
    to: `${list.name} <${list.address}>, ${DESK.address}`,
    subject: `[facilities] ${subject}`,
    entity: textEntity(`${body}\n\n-- \n${author.name}\n`),
    headers: [
      ['List-Id', `Facilities talk <facilities.${list.host}>`],
      ['List-Post', `<mailto:${list.address}>`],
      ['Precedence', 'list'],
    ],
    expect: { ...FROM_A_PERSON, class: 'list' },
  });
}

function listTalk(random: Random): { subject: string; body: string } {
  return random.pick([
    { subject: 'Which label printer?', body: 'What do you all use? Ours is from before the flood.' },
    {
      subject: 'Heating in building C',
      body: 'It is off again on the second floor. Does anybody else freeze?',
    },
    {
      subject: 'Keys',
      body: `Somebody left keys in room ${random.between(100, 399)}. They are at the desk.`,
    },
  ]);
}
