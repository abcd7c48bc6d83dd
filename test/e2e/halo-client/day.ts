/**
 * A whole day of an administrator, as a program: written against Halo's published API (and Penstock's pages about
 * destinations) with fetch alone. It knows no file of Penstock's. It yields a row for each step; who runs it judges them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HaloClient, type Item } from './client.ts';

export interface Row {
  step: string;
  /** What was asked of the API, without ids. */
  request: string;
  /** The status codes of the answers. */
  answer: string;
  /** What the answers said. */
  shown: string;
}

/** What an administrator has at hand. */
export interface Desk {
  origin: string;
  clientId: string;
  clientSecret: string;
  imapPort: number;
  pop3Port: number;
  smtpPort: number;
  password: string;
  webhook: { url: string; secret: string };
  halo: { url: string; clientId: string; secret: string };
  pagerDuty: { url: string; key: string };
  splunkUrl: string;
}

/** What happens elsewhere that day. */
export interface World {
  /** Somebody's mail reaches a mailbox on the mail server. */
  arrives(user: 'support' | 'orders', message: string): void;
  /** The customer to whom we wrote with this subject answers. */
  answers(subject: string, from: string, text: string): Promise<void>;
  /** The customer's server gives our mail with this subject back. */
  bounces(subject: string, address: string): Promise<void>;
  pagerDutyFails(): void;
  pagerDutyRecovers(): void;
  minutesPass(minutes: number): Promise<void>;
}

const QUEUED = 0;
const PROCESSED = 2;
const PARKED = 8;
const STATUS: Record<number, string> = { 2: 'processed', 3: 'ignored', 8: 'parked' };

interface Page {
  record_count: number;
  page_no: number;
  page_size: number;
}
type Emails = Page & { incomingemails: Item[] };
type Users = Page & { users: Item[] };

export async function* administratorsDay(desk: Desk, world: World): AsyncGenerator<Row> {
  const halo = new HaloClient(desk.origin, desk.clientId, desk.clientSecret);
  const row = (step: string, shown: string): Row => ({ step, ...halo.taken(), shown });
  const emails = async (): Promise<Item[]> => await halo.get<Item[]>('/api/incomingemail');
  const bySubject = async (subject: string): Promise<Item | undefined> =>
    (await emails()).find((email) => email.subject === subject);
  /** The record of a message, once it is in this status. */
  const settled = async (subject: string, status: number): Promise<Item> =>
    await eventually(`${subject} is ${status}`, async () => {
      const email = await bySubject(subject);
      return email?.status === status ? email : null;
    });
  const ticketOf = (email: Item): number => (email.penstock as { ticket_id: number }).ticket_id;

  const { token_type, expires_in } = await halo.signIn();
  const lookup = await halo.get<Item[]>('/api/lookup?lookupid=11');
  yield row('sign in', `${token_type} for ${expires_in} s; lookup ${lookup.length > 0 ? 'not ' : ''}empty`);

  const support = {
    name: 'Support',
    type: 1,
    server: '127.0.0.1',
    popport: desk.imapPort,
    usetls: false,
    username: 'support',
    password: desk.password,
    enabled: true,
    deleteditemsfolder: 'Done',
    newuser_send_ack: true,
    smtpserver: 'localhost',
    smtpport: desk.smtpPort,
    smtpusetls: true,
    smtpusername: 'support@example.org',
    smtppassword: desk.password,
    smtpaddress: 'support@example.org',
    smtpdisplayname: 'Support Desk',
  };
  const tried = await halo.post('/api/Mailbox', [{ ...support, _testonly: true }]);
  yield row(
    'try a mailbox',
    String(tried._warning).includes('login') ? 'the steps up to the login' : 'nothing',
  );

  world.arrives('orders', mail('Hal <hal@new.example>', 'An order', 'Ten of them.'));
  const supportBox = await halo.post('/api/Mailbox', [support]);
  const ordersBox = await halo.post('/api/Mailbox', [
    {
      name: 'Orders',
      type: 0,
      server: '127.0.0.1',
      popport: desk.pop3Port,
      usetls: false,
      username: 'orders',
      password: desk.password,
      enabled: false,
      unmatched_users: 2,
    },
  ]);
  yield row(
    'mailboxes',
    [supportBox, ordersBox].map(({ name, type, password }) => `${name} ${type} ${password}`).join('; '),
  );

  const again = await halo.post('/api/Mailbox', [support]);
  const mailboxes = await halo.get<Item[]>('/api/Mailbox?showall=true');
  yield row(
    'the request again',
    `${again.id === supportBox.id ? 'the same' : 'another'} mailbox; ${mailboxes.length} in all`,
  );

  const credential = await halo.post('/api/MailboxCredential', [
    { mailbox_id: supportBox.id, password: 'that of next month' },
  ]);
  const credentials = await halo.get<Item[]>(`/api/MailboxCredential?mailbox_id=${supportBox.id}`);
  yield row(
    'credential',
    `${credentials.length} of ${supportBox.name}, the new one shows ${credential.password}`,
  );

  await halo.post('/api/EmailRule', [
    {
      name: 'monitoring',
      type: 4,
      seq: 9,
      enabled: true,
      subject: 'PROBLEM',
      closestring: 'RECOVERED',
      '4starttag': 'Host: ',
      '4useendofline': true,
    },
    { name: 'newsletters', type: 0, seq: 10, enabled: true, subject: 'NEWSLETTER' },
    { name: 'invoices', type: 1, seq: 5, enabled: true, subject: 'Invoice', requesttype: 7 },
  ]);
  const rules = await halo.get<Item[]>('/api/EmailRule');
  yield row('rules', rules.map(({ seq, name }) => `${seq} ${name}`).join(', '));

  const destinations = await halo.post<Item[]>('/api/Destination', [
    { type: 'webhook', name: 'hub', url: desk.webhook.url, new_secret: desk.webhook.secret },
    {
      type: 'halo',
      name: 'halo',
      url: desk.halo.url,
      new_secret: desk.halo.secret,
      halo: { client_id: desk.halo.clientId, mailbox_id: 1 },
    },
    { type: 'pagerduty', name: 'duty', url: desk.pagerDuty.url, new_secret: desk.pagerDuty.key },
    { type: 'splunk_oncall', name: 'oncall', new_secret: desk.splunkUrl },
  ]);
  yield row('destinations', destinations.map(({ name, type }) => `${name} ${type}`).join(', '));
  const tests: string[] = [];
  for (const { id, name } of destinations) {
    const { ok, message } = await halo.post(`/api/Destination/${id}/test`, {});
    tests.push(`${name} ${ok === true ? 'ok' : message}`);
  }
  yield row('test them', tests.join(', '));

  const switchedOn = await halo.post('/api/Mailbox', [{ id: ordersBox.id, enabled: true }]);
  yield row('the other mailbox too', `${switchedOn.name} is ${switchedOn.enabled ? 'on' : 'off'}`);

  world.arrives('support', mail('Ann Lee <ann@customer.example>', 'Printer', 'It is on fire.'));
  world.arrives('support', mail('News <news@list.example>', 'NEWSLETTER 7', 'Buy!'));
  const printer = await settled('Printer', PROCESSED);
  await settled('NEWSLETTER 7', 3);
  yield row(
    'mail comes by IMAP',
    `Printer: ticket ${ticketOf(printer) > 0 ? 'made' : 'none'}; NEWSLETTER 7: ignored`,
  );

  const posted = { haloMailboxId: supportBox.id };
  const base64 = (text: string, way: 'base64' | 'base64url' = 'base64') => Buffer.from(text).toString(way);
  const structured = (name: string, address: string, subject: string) => ({
    from: [{ name, address }],
    to: [{ address: 'support@example.org' }],
    subject,
    messageId: `${subject.replaceAll(' ', '.')}@customer.example`,
    date: '2026-03-01T10:00:00Z',
    textBody: `About ${subject}.`,
  });
  const byData = await halo.post('/api/incomingemail', [
    {
      mbid: supportBox.id,
      mailid: 'by-id',
      data: base64(mail('Fay <fay@customer.example>', 'By incomingEmailId', 'Six.')),
    },
  ]);
  const kinds: [kind: string, message: Record<string, unknown>][] = [
    ['IMAP', { id: '1', raw: base64(mail('Bob <bob@customer.example>', 'By IMAP raw', 'One.')) }],
    [
      'Pop3',
      { id: '2', mimeMessage: structured('Carl Carlson', 'carl@customer.example', 'By Pop3 structure') },
    ],
    ['Azure', { id: '3', raw: base64(mail('Dora <dora@customer.example>', 'By Azure raw', 'Three.')) }],
    [
      'Google',
      { id: '4', raw: base64(mail('Emil <emil@customer.example>', 'By Google raw', 'Four.'), 'base64url') },
    ],
    [
      'Google',
      {
        id: '5',
        threadId: 't5',
        payload: {
          mimeType: 'text/plain',
          headers: [
            { name: 'From', value: 'Gus <gus@customer.example>' },
            { name: 'To', value: 'support@example.org' },
            { name: 'Subject', value: 'By Google payload' },
            { name: 'Message-ID', value: '<payload@customer.example>' },
          ],
          body: { data: base64('Five.', 'base64url') },
        },
      },
    ],
    ['IMAP', { incomingEmailId: byData.id }],
  ];
  const took: number[] = [];
  for (const [kind, message] of kinds) {
    const { id } = await halo.post(`/api/Mail/Integrator/${kind}`, { ...posted, ...message });
    took.push(id);
  }
  yield row('post each kind', `${took.length} posts, ${new Set(took).size} records`);

  const repeated: number[] = [];
  for (const [kind, message] of kinds) {
    const { id } = await halo.post(`/api/Mail/Integrator/${kind}`, { ...posted, ...message });
    repeated.push(id);
  }
  yield row(
    'post each again',
    repeated.every((id, index) => id === took[index]) ? 'the same records' : 'others',
  );

  const run = await eventually('all posted are processed', async () => {
    const answers = await halo.post<Item[]>('/api/Mail/ProcessMail', [...took, 999_999]);
    return answers.slice(0, -1).every(({ status }) => status === PROCESSED) ? answers : null;
  });
  yield row('ProcessMail', `${run.map(({ status, error }) => STATUS[status as number] ?? error).join(', ')}`);

  const parked = await settled('An order', PARKED);
  yield row('mail came by POP3', `An order: ${STATUS[parked.status as number]}, nobody knows the sender`);

  const pages: Emails[] = [];
  for (let page_no = 1; ; page_no += 1) {
    const query = `pageinate=true&page_size=4&page_no=${page_no}&order=subject&orderdesc=false&order2=id`;
    const page = await halo.get<Emails>(`/api/incomingemail?${query}`);
    pages.push(page);
    if (page_no >= Math.ceil(page.record_count / page.page_size)) break;
  }
  const subjects = pages.flatMap(({ incomingemails }) =>
    incomingemails.map(({ subject }) => String(subject)),
  );
  yield row(
    'list in pages',
    `${pages.map((page) => page.incomingemails.length).join(' + ')}: ${subjects.join(', ')}`,
  );

  await halo.post('/api/Users', [
    { name: 'Hal Hudson', emailaddress: 'hal@new.example', phonenumber: '+49 30 555-0137' },
  ]);
  const retried = await halo.post('/api/incomingemail', [{ id: parked.id, status: QUEUED }]);
  const order = await settled('An order', PROCESSED);
  yield row(
    'add the sender, try again',
    `${retried.id === parked.id ? 'An order' : '?'}: ticket ${ticketOf(order) > 0 ? 'made' : 'none'}`,
  );

  const found: string[] = [];
  for (const query of ['search=carlson', 'search=ann@', 'search=5550137&search_phonenumbers=true']) {
    const { record_count, users } = await halo.get<Users>(`/api/EmailAddressBook?${query}`);
    found.push(`${record_count} ${users.map(({ emailaddress }) => emailaddress).join(' ')}`);
  }
  const all = await halo.get<Users>(
    '/api/EmailAddressBook?pageinate=true&page_size=3&page_no=2&order=emailaddress&includeinactive=true',
  );
  yield row(
    'address book',
    `${found.join('; ')}; page 2 of ${all.record_count}: ${all.users.map(({ name }) => name).join(', ')}`,
  );

  const written = await halo.post('/api/EmailStore', [
    {
      mailbox_id: supportBox.id,
      faultid: ticketOf(printer),
      emailto: 'Ann Lee <ann@customer.example>',
      emailsubject: 'Your printer',
      emailbody: 'Is the fire out?',
    },
  ]);
  const gone = await eventually('the mail is sent', async () => {
    const store = await halo.get(`/api/EmailStore/${written.id}`);
    return store.dateemailed === null ? null : store;
  });
  yield row('send an e-mail', `queued with the answer, then sent: ${gone.dateemailed !== null}`);

  await world.answers('Your printer', 'Ann Lee <ann@customer.example>', 'Yes.');
  const reply = await settled('Re: Your printer', PROCESSED);
  yield row('it is answered', `on ${ticketOf(reply) === ticketOf(printer) ? 'the same' : 'another'} ticket`);

  await halo.post('/api/EmailStore', [
    {
      mailbox_id: supportBox.id,
      emailto: 'gone@customer.example',
      emailsubject: 'Are you there?',
      emailbody: 'Hello.',
    },
  ]);
  await world.bounces('Are you there?', 'gone@customer.example');
  const failed = await eventually('the bounce is seen', async () => {
    const [first, ...more] = await halo.get<Item[]>('/api/Outgoingemail?errorsonly=true');
    return first === undefined || more.length > 0 ? null : first;
  });
  yield row('another comes back', `${failed.to}: ${failed.likely_cause}`);

  world.pagerDutyFails();
  const alert = (host: string, text: string) =>
    world.arrives(
      'support',
      mail('Monitor <monitor@infra.example>', `PROBLEM ${host} ${text}`, `Host: ${host}\r\n${text}.`),
    );
  alert('web1', 'DISK FULL');
  await settled('PROBLEM web1 DISK FULL', PROCESSED);
  alert('web1', 'RECOVERED');
  alert('web2', 'DISK FULL');
  await settled('PROBLEM web1 RECOVERED', PROCESSED);
  await settled('PROBLEM web2 DISK FULL', PROCESSED);
  const waiting = async (): Promise<Item[]> =>
    await halo.get<Item[]>('/api/Delivery?state=pending&count=1000');
  const heldUp = await eventually('only PagerDuty waits', async () => {
    const open = await waiting();
    const tried = open.some(({ attempts, error }) => Number(attempts) > 0 && error !== null);
    return tried && open.every(({ destination }) => destination === 'duty') ? open : null;
  });
  yield row('alerts, and PagerDuty fails', `${heldUp.length} deliveries wait, all for duty`);

  for (const minutes of [30, 30]) {
    const before = await attemptsOf(waiting);
    await world.minutesPass(minutes);
    await eventually('duty is tried again', async () => ((await attemptsOf(waiting)) > before ? true : null));
  }
  const duty = destinations.find(({ name }) => name === 'duty')!;
  const sick = await halo.get(`/api/Destination/${duty.id}`);
  const stuck = await waiting();
  yield row(
    'an hour of it',
    `${stuck.length} deliveries wait; duty is ${sick.enabled === true ? '' : 'not '}enabled: ${sick.last_error_code}`,
  );

  world.pagerDutyRecovers();
  // A save has what waits tried at once.
  await halo.post('/api/Destination', [{ id: duty.id, enabled: true }]);
  await eventually('nothing waits', async () => ((await waiting()).length === 0 ? true : null));
  const deliveries = await halo.get<Item[]>('/api/Delivery?count=1000');
  const per = destinations.map(({ name, id }) => {
    const mine = deliveries.filter(({ destination_id }) => destination_id === id);
    return `${name} ${mine.length}`;
  });
  const states = [...new Set(deliveries.map(({ state }) => state))].join(', ');
  yield row('PagerDuty is back', `all ${states}: ${per.join(', ')}`);

  const counts = new Map<number, number>();
  for (const { status } of await emails())
    counts.set(status as number, (counts.get(status as number) ?? 0) + 1);
  yield row(
    'the end of the day',
    [...counts]
      .map(([status, count]) => `${count} ${STATUS[status]}`)
      .sort()
      .join(', '),
  );
}

async function attemptsOf(waiting: () => Promise<Item[]>): Promise<number> {
  return (await waiting()).reduce((sum, { attempts }) => sum + Number(attempts), 0);
}

let mails = 0;

/** A mail as a customer's program writes it. */
function mail(from: string, subject: string, text: string): string {
  mails += 1;
  return [
    `From: ${from}`,
    'To: support@example.org',
    `Subject: ${subject}`,
    `Message-ID: <day.${mails}@customer.example>`,
    'Date: Sun, 01 Mar 2026 10:00:00 +0000',
    '',
    text,
    '',
  ].join('\r\n');
}

/** Asks again until there is an answer; an administrator does not wait for ever. */
async function eventually<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadline) throw new Error(`Waited a minute, and not yet: ${what}`);
    await sleep(100);
  }
}
