/** The commands as a person or a script runs them, beside one running daemon on its embedded database. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LabImapServer } from '../../src/lab/imap/server.ts';
import { runCommand } from '../support/command.ts';
import { tempFolder } from '../support/folder.ts';
import { simpleMessage } from '../support/messages.ts';
import { type Finished, type Running, runPenstock, startPenstock } from '../support/process.ts';
import { until } from '../support/site.ts';
import { startSmtp } from '../support/smtp.ts';

const PASSWORD = 'correct-horse-battery';
const server = new LabImapServer();
let env: Record<string, string>;
let daemon: Running;
let url: string;
let token: string;
const told: Finished[] = [];

beforeAll(async () => {
  await server.start();
  server.addUser('ann', { password: PASSWORD });
  env = { PENSTOCK_DATA: join(await tempFolder('commands'), 'data'), PENSTOCK_WORKER_THREADS: '1' };
  daemon = startPenstock(['start'], { env: { ...env, PENSTOCK_PORT: '0' } });
  url = (await daemon.waitForLine(/"api":"(http[^"]+)"/, 100_000))[1]!;
  const file = JSON.parse(await readFile(join(env.PENSTOCK_DATA!, 'admin-client.json'), 'utf8'));
  token = (await tokenOf(file))!;
}, 120_000);

afterAll(async () => {
  await daemon.kill();
  await server.stop();
});

const shown = new Set<string>();

/** Each command once as the program that it is, and once more without a daemon; from then on within this process. */
async function run(args: string[], input?: string): Promise<Finished> {
  const name = `${args.slice(0, 2).join(' ')} ${daemon.hasEnded}`;
  const how = shown.has(name) ? runCommand : runPenstock;
  shown.add(name);
  const finished = await how(args, { env, ...(input === undefined ? {} : { input }) });
  told.push(finished);
  return finished;
}

/** What a command prints with --json, which must end as expected. */
async function json<T>(args: string[], code = 0, input?: string): Promise<T> {
  const finished = await run([...args, '--json'], input);
  expect(finished.code, finished.output).toBe(code);
  expect(finished.stderr).toBe('');
  return JSON.parse(finished.stdout) as T;
}

async function tokenOf(client: { client_id: string; client_secret: string }): Promise<string | undefined> {
  const { client_id, client_secret } = client;
  const answer = await fetch(`${url}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id, client_secret, grant_type: 'client_credentials' }),
  });
  return ((await answer.json()) as { access_token?: string }).access_token;
}

async function api<T>(path: string, body?: object): Promise<T> {
  const answer = await fetch(`${url}/api${path}`, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });
  return (await answer.json()) as T;
}

const records = async (): Promise<number> =>
  (await api<{ record_count: number }>('/incomingemail?pageinate=true&page_size=1')).record_count;
const deliver = (subject: string): void => void server.deliver('ann', 'INBOX', simpleMessage(subject));

interface Row {
  id: number;
  state: string;
  lastListed: string | null;
}
const list = (): Promise<Row[]> => json<Row[]>(['mailbox', 'list']);

const add = (...more: string[]): string[] => [
  ...[
    'mailbox',
    'add',
    '--host',
    '127.0.0.1',
    '--port',
    String(server.port),
    '--tls',
    'none',
    '--user',
    'ann',
  ],
  ...['--password-stdin', ...more],
];

describe('beside a daemon', () => {
  it('mailbox add --test adds nothing when it fails, and what it adds is polled at once', async () => {
    const refused = await run(add('--test'), 'wrong-secret');
    expect(refused.code, refused.output).toBe(1);
    expect(refused.stdout).toMatch(/^FAIL login .*\n +-> Check user name and password/m);
    expect(refused.output).not.toContain('wrong-secret');
    const steps = await json<{ step: string; ok: boolean }[]>(
      add('--test', '--folder', 'INBOX', 'Nope'),
      1,
      PASSWORD,
    );
    expect(steps.at(-1)).toMatchObject({ step: 'folders', ok: false, found: 'Missing: Nope' });
    expect(await list()).toEqual([]);

    deliver('first');
    const folders = ['--folder', 'INBOX', 'Sent', '--after', 'seen', '--poll', '86400', '--name', 'Desk'];
    const added = await json(add('--test', ...folders), 0, PASSWORD);
    expect(added).toEqual({ id: 1, name: 'Desk' });
    await until(() => server.messages('ann').every(({ flags }) => flags.has('\\Seen')));
    await until(async () => (await records()) === 1);
    expect(await list()).toMatchObject([
      { id: 1, name: 'Desk', server: `ann@127.0.0.1:${server.port}`, error: null },
    ]);
  });

  it('mailbox test tells each step, and which one fails', async () => {
    const well = await run(['mailbox', 'test', '1']);
    expect(well.code, well.output).toBe(0);
    expect(well.stdout).toMatch(/^ok +login .*Logged in as ann$/m);
    server.faults.add({ at: 'login', action: { do: 'no', text: 'Not today' } });
    const steps = await json<{ step: string; ok: boolean }[]>(['mailbox', 'test', '1'], 1);
    server.faults.clear();
    expect(steps.filter(({ ok }) => !ok)).toMatchObject([{ step: 'login' }]);
    const nobody = await run(['mailbox', 'test', '77']);
    expect(nobody.stderr).toBe('penstock: There is no mailbox 77.\n  Check the id. (not_found)\n');
    expect(nobody.code).toBe(2);
  });

  it('mailbox pause stops the polling, resume goes on with what came meanwhile', async () => {
    expect((await run(['mailbox', 'pause', '1'])).stdout).toBe('Mailbox 1: paused.\n');
    await until(() => server.connections === 0);
    deliver('while paused');
    expect(await list()).toMatchObject([{ state: 'paused' }]);
    expect(await records()).toBe(1);
    expect((await run(['mailbox', 'resume', '1'])).stdout).toBe('Mailbox 1: resumed.\n');
    await until(async () => (await records()) === 2);
  });

  it('mailbox poll looks at once, however long the interval', async () => {
    // The second folder is not listened to: without a wish it would be looked at tomorrow.
    server.deliver('ann', 'Sent', simpleMessage('in the other folder'));
    const poll = await run(['mailbox', 'poll', '1']);
    expect(poll).toMatchObject({ code: 0, stdout: 'Mailbox 1 is polled now, if a daemon runs.\n' });
    await until(async () => (await records()) === 3);
  });

  it('rules test explains a rule in a file, one that is stored, and all of them', async () => {
    const folder = await tempFolder('rules');
    const rule = join(folder, 'rule.json');
    const message = join(folder, 'message.eml');
    await writeFile(rule, JSON.stringify({ name: 'Disks', type: 4, enabled: true, subject: 'disk' }));
    await writeFile(message, simpleMessage('Disk full'));
    const wins = await run(['rules', 'test', '--rule', rule, message]);
    expect(wins.stdout).toMatch(/^WINS +Disks \(1\)\n +\+ subject: wanted "disk", found "Disk full"/);
    expect(wins.code).toBe(0);
    const none = await run(['rules', 'test', message]);
    expect(none).toMatchObject({ code: 1, stdout: 'No rule matches.\n' });
    const stored = await api<{ id: number }>('/EmailRule', [JSON.parse(await readFile(rule, 'utf8'))]);
    const byId = await json<{ result: { rule: { name: string } } }>([
      'rules',
      'test',
      '--rule',
      String(stored.id),
      message,
    ]);
    expect(byId.result.rule.name).toBe('Disks');
    await writeFile(message, simpleMessage('Lunch'));
    const lost = await run(['rules', 'test', '--rule', String(stored.id), message]);
    expect(lost.stdout).toMatch(/- subject: wanted "disk", found "Lunch"\nNo rule matches\.\n$/);
    expect(lost.code).toBe(1);
    expect((await run(['rules', 'test', '--rule', '999', message])).code).toBe(2);
  });

  it('client create makes credentials that work, and shows the secret once', async () => {
    const made = await json<{ client_id: string; client_secret: string; scopes: string[] }>([
      ...['client', 'create', '--name', 'helpdesk', '--scope', 'read:tickets', 'penstock:ingest'],
    ]);
    expect(made.scopes).toEqual(['read:tickets', 'penstock:ingest']);
    expect(await tokenOf(made)).toEqual(expect.any(String));
    const clients = await run(['client', 'list']);
    expect(clients.stdout).toContain(made.client_id);
    expect(clients.output).not.toContain(made.client_secret);
    expect((await run(['client', 'disable', made.client_id])).code).toBe(0);
    expect(await tokenOf(made)).toBeUndefined();
  });

  it('doctor is content, or names what is wrong and what to do', async () => {
    const findings = await json<{ part: string; ok: boolean }[]>(['doctor']);
    expect(findings.map(({ part }) => part)).toEqual([
      ...['configuration', 'disk', 'database', 'clock', 'keys', 'messages', 'queue', 'backlog', 'mailbox 1'],
    ]);
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    const key = join(env.PENSTOCK_DATA!, 'secret.key');
    await chmod(key, 0o644);
    server.faults.add({ at: 'login', action: { do: 'no', text: 'Not today' } });
    const sick = await run(['doctor']);
    server.faults.clear();
    await chmod(key, 0o600);
    expect(sick.code).toBe(1);
    expect(sick.stdout).toMatch(/^FAIL +keys .*can be read by others -> chmod 600 \S+secret\.key$/m);
    expect(sick.stdout).toMatch(/^FAIL +mailbox 1 +Desk: login: .*Not today.* -> \S.*[^…]$/m);
    expect(sick.stdout.match(/^FAIL/gm)).toHaveLength(2);
  });

  it('a mailbox that sends is tried with that; mail in trouble is listed, and sent again', async () => {
    const smtp = await startSmtp();
    server.addUser('desk', { password: PASSWORD });
    const folder = await tempFolder('smtp');
    const [ca, secret] = [join(folder, 'ca.pem'), join(folder, 'secret')];
    await writeFile(ca, smtp.settings().tlsCa!);
    await writeFile(secret, 'smtp-secret\n');
    const options = [
      '--user',
      'desk',
      '--tls-ca-file',
      ca,
      '--smtp-host',
      'localhost',
      '--smtp-tls',
      'implicit',
    ];
    options.push('--smtp-port', String(smtp.port), '--smtp-user', 'mailer', '--smtp-password-file', secret);
    options.push('--from', 'desk@example.org', '--test');
    smtp.answers.login = () => '535 5.7.8 Bad credentials';
    const steps = await json<{ step: string; ok: boolean }[]>(add(...options), 1, PASSWORD);
    expect(steps.filter(({ ok }) => !ok)).toMatchObject([{ step: 'sending', advice: expect.any(String) }]);
    smtp.answers.login = () => null;
    const { id } = await json<{ id: number }>(add(...options), 0, PASSWORD);
    expect((await run(['mailbox', 'test', String(id)])).stdout).toMatch(/^ok +sending .*takes mail$/m);
    expect(new Set(smtp.logins)).toEqual(new Set(['mailer:smtp-secret']));
    expect(smtp.received).toEqual([]);

    smtp.answers.recipient = () => '550 5.1.1 No such user';
    const mail = { mailbox_id: id, emailto: 'ann@customer.example', emailsubject: 'Hello', emailbody: 'Hi.' };
    await api('/EmailStore', [mail]);
    const list = () => json<Record<string, unknown>[]>(['outgoing', 'list']);
    const inTrouble = async () => (await api<unknown[]>('/Outgoingemail?errorsonly=true')).length;
    await until(async () => (await inTrouble()) === 1);
    const [failed] = await list();
    expect(failed).toMatchObject({
      mailbox: id,
      state: 'failed',
      to: 'ann@customer.example',
      error: 'send_refused',
    });
    expect((await run(['outgoing', 'list'])).stdout).toContain('The address does not exist.');
    const mailId = String(failed!.id);
    expect((await run(['outgoing', 'retry', mailId, '--sent'])).stderr).toContain(`mail ${mailId} is failed`);
    expect((await run(['outgoing', 'retry', '999'])).code).toBe(2);
    smtp.answers.recipient = () => null;
    expect((await run(['outgoing', 'retry', mailId])).code).toBe(0);
    await until(async () => smtp.received.length === 1 && (await inTrouble()) === 0);
    expect(await json(['outgoing', 'list', '--all'])).toMatchObject([
      { state: 'sent', error: null, cause: null },
    ]);
    expect((await run(['mailbox', 'remove', String(id)])).code).toBe(0);
  });

  it('secrets rotate: the daemon goes on with the new key alone', async () => {
    const key = join(env.PENSTOCK_DATA!, 'secret.key');
    const old = await readFile(key, 'utf8');
    const { secrets } = await json<{ secrets: number }>(['secrets', 'rotate']);
    expect(secrets).toBeGreaterThanOrEqual(1);
    const now = await readFile(key, 'utf8');
    expect(now.trim().split('\n')).toHaveLength(1);
    expect(now).not.toContain(old.trim().split(/\s+/)[1]);
    // A new login, with the password out of the database: after resume the mailbox is set up anew.
    const logins = server.logins.get('ann') ?? 0;
    await run(['mailbox', 'pause', '1']);
    await until(() => server.connections === 0);
    deliver('after the rotation');
    await run(['mailbox', 'resume', '1']);
    await until(async () => (await records()) === 4);
    expect(server.logins.get('ann')).toBeGreaterThan(logins);
    const file = JSON.parse(await readFile(join(env.PENSTOCK_DATA!, 'admin-client.json'), 'utf8'));
    expect(await tokenOf(file)).toEqual(expect.any(String));
  });

  it('without the daemon the same commands bring up the database for their time', async () => {
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    expect(await list()).toMatchObject([{ id: 1, name: 'Desk' }]);
    const removed = await run(['mailbox', 'remove', '1']);
    expect(removed).toMatchObject({ code: 0, stdout: 'Mailbox 1 is removed.\n' });
    expect((await run(['mailbox', 'remove', '1'])).code).toBe(2);
    expect(await list()).toEqual([]);
    expect((await json<{ ok: boolean }[]>(['doctor'])).every(({ ok }) => ok)).toBe(true);
  });

  it('nothing of all this told a password', () => {
    expect(told.length).toBeGreaterThan(20);
    for (const { output } of told) expect(output).not.toContain(PASSWORD);
    expect(daemon.output).not.toContain(PASSWORD);
  });
});
