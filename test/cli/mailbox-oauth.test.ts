/** Graph and Gmail mailboxes from the command line: added with what tokens are got with, tried, read. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { listMailboxes } from '../../src/store/mailboxes.ts';
import { runCommand } from '../support/command.ts';
import { tempFolder } from '../support/folder.ts';
import { DESK, type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { startPenstock } from '../support/process.ts';
import { until } from '../support/site.ts';

/** Runs `mailbox add` for a mailbox of the lab. */
async function add(lab: OauthSite, kind: SourceKind, options: string[], input = '') {
  const { server, oauth } = lab.login(kind);
  const ca = join(await tempFolder('ca'), 'ca.pem');
  await writeFile(ca, server.tlsCa);
  const where = ['--type', kind, '--host', server.host, '--port', String(server.port), '--tls-ca-file', ca];
  const who = ['--user', DESK, '--token-url', oauth.tokenUrl!, '--json'];
  return await runCommand(['mailbox', 'add', ...where, ...who, ...options], { env: lab.site.env, input });
}

const linkOf = (id: number): RegExp =>
  new RegExp(`^https://penstock\\.example\\.org/oauth/start/${id}\\?link=[\\w-]{43}$`, 'm');

async function openLinks({ site }: OauthSite): Promise<number> {
  const rows = await site.runtime.db
    .selectFrom('sign_in')
    .select('expires_at')
    .where('done_at', 'is', null)
    .execute();
  return rows.filter((row) => row.expires_at.getTime() > Date.now()).length;
}

/** Runs a command that makes a link and waits; as if somebody had signed in with it, which test/api/sign-in.test.ts does. */
async function signedInByLink(lab: OauthSite, args: string[], env: Record<string, string>) {
  const waiting = runCommand(args, { env });
  await until(async () => (await openLinks(lab)) === 1);
  await lab.site.runtime.db.updateTable('sign_in').set({ done_at: new Date() }).execute();
  return await waiting;
}

describe('penstock mailbox add with OAuth', () => {
  it('adds a Graph mailbox by a secret when it works, and names the fault when not', async () => {
    const lab = await startOauthSite();
    const application = ['--tenant', 'lab-tenant', '--client-id', 'app', '--client-secret-stdin', '--test'];
    const wrong = await add(lab, 'graph', application, 'wrong');
    expect(wrong.code, wrong.stderr).toBe(1);
    expect(wrong.stdout).toContain('AADSTS7000215');
    expect(await listMailboxes(lab.site.runtime.db)).toEqual([]);
    const right = await add(lab, 'graph', application, 'the-client-secret');
    expect(right.code, right.stderr).toBe(0);
    const { id } = JSON.parse(right.stdout) as { id: number };
    const tested = await runCommand(['mailbox', 'test', String(id), '--json'], { env: lab.site.env });
    expect(tested.code, tested.stdout).toBe(0);
    expect(tested.stdout).toContain(`Graph opens the mailbox ${DESK}`);
    expect(tested.stdout + right.stdout).not.toContain('the-client-secret');
  });

  it('adds a Graph mailbox by a certificate file, and a Gmail mailbox by the file of a service account', async () => {
    const lab = await startOauthSite();
    const folder = await tempFolder('files');
    const { cert, key } = makeCertificate({ names: ['penstock'], key: 'rsa' });
    lab.oauth.grants.clients.set('app', { certificates: [cert] });
    const pem = join(folder, 'app.pem');
    await writeFile(pem, `${key}\n${cert}`);
    const application = ['--tenant', 'lab-tenant', '--client-id', 'app', '--certificate-file', pem, '--test'];
    const graph = await add(lab, 'graph', application);
    expect(graph.code, graph.stdout + graph.stderr).toBe(0);

    const { oauth, secrets } = lab.login('gmail');
    const account = { client_email: oauth.clientId, private_key: secrets.private_key, private_key_id: 'k1' };
    const file = join(folder, 'account.json');
    await writeFile(file, JSON.stringify({ type: 'service_account', ...account }));
    const gmail = await add(lab, 'gmail', ['--service-account-file', file, '--test']);
    expect(gmail.code, gmail.stdout + gmail.stderr).toBe(0);
    const kinds = (await listMailboxes(lab.site.runtime.db)).map(({ kind }) => kind);
    expect(kinds).toEqual(['graph', 'gmail']);
  });

  it('lets a person sign in on another device, after which the mailbox works', async () => {
    const lab = await startOauthSite();
    const { db, sources } = lab.site.runtime;
    lab.oauth.grants.clients.set('app', {});
    const person = ['--tenant', 'lab-tenant', '--client-id', 'app', '--grant', 'refresh_token', '--paused'];
    const added = await add(lab, 'graph', person);
    expect(added.code, added.stderr).toBe(0);
    const { id } = JSON.parse(added.stdout) as { id: number };
    const mailbox = (await listMailboxes(db))[0]!;
    await expect(sources.source(mailbox)).rejects.toMatchObject({ code: 'sign_in_needed' });
    const authorize = startPenstock(['mailbox', 'authorize', String(id)], { env: lab.site.env });
    const [, code] = await authorize.waitForLine(/enter ([0-9A-F]{8}),/);
    lab.oauth.grants.approveDevice(code!, DESK);
    const { code: exit } = await authorize.ended;
    expect(exit, authorize.output).toBe(0);
    const [authorized] = await listMailboxes(db);
    const steps = await sources.diagnose(authorized!, new AbortController().signal);
    expect(
      steps.every((step) => step.ok),
      JSON.stringify(steps),
    ).toBe(true);
    // A second one, for the day when the person leaves; with a secret of the same application.
    const more = ['mailbox', 'credential', 'add', String(id), '--client-secret-stdin', '--first'];
    const second = await runCommand(more, { env: lab.site.env, input: 'a-secret' });
    expect(second.code, second.stderr).toBe(0);
    const listed = await runCommand(['mailbox', 'credential', 'list', String(id), '--json'], {
      env: lab.site.env,
    });
    const rows = JSON.parse(listed.stdout) as { id: number }[];
    expect(rows).toMatchObject([
      { login: 'microsoft client_credentials app', state: 'standby' },
      { login: 'microsoft refresh_token app' },
    ]);
    const remove = ['mailbox', 'credential', 'remove', String(rows[0]!.id)];
    expect((await runCommand(remove, { env: lab.site.env })).code).toBe(0);
    expect((await runCommand(remove, { env: lab.site.env })).code).toBe(2);
    // By browser there must be a place to come back to.
    const browser = ['mailbox', 'authorize', String(id), '--browser'];
    expect((await runCommand(browser, { env: lab.site.env })).stderr).toContain('PENSTOCK_PUBLIC_URL');
    const env = { ...lab.site.env, PENSTOCK_PUBLIC_URL: 'https://penstock.example.org' };
    const byLink = await signedInByLink(lab, browser, env);
    expect(byLink.code, byLink.output).toBe(0);
    expect(byLink.stdout).toMatch(linkOf(id));
  });

  it('sends a person to a browser for a Google mailbox without being asked to, and a service account nowhere', async () => {
    const lab = await startOauthSite();
    const person = ['--client-id', 'app', '--client-secret-stdin', '--grant', 'refresh_token', '--paused'];
    const added = await add(lab, 'gmail', person, 'the-client-secret');
    expect(added.code, added.stderr).toBe(0);
    const { id } = JSON.parse(added.stdout) as { id: number };
    const authorize = ['mailbox', 'authorize', String(id)];
    expect((await runCommand(authorize, { env: lab.site.env })).stderr).toContain('PENSTOCK_PUBLIC_URL');
    const env = { ...lab.site.env, PENSTOCK_PUBLIC_URL: 'https://penstock.example.org' };
    const done = await signedInByLink(lab, authorize, env);
    expect(done.code, done.output).toBe(0);
    expect(done.stdout).toMatch(/^Google does not let devices read mail by a code/);
    expect(done.stdout).toMatch(linkOf(id));
    expect(done.stdout).toMatch(new RegExp(`^Mailbox ${id} is authorized\\.$`, 'm'));
    // A link that nobody used in time is a failure.
    const over = runCommand(authorize, { env });
    await until(async () => (await openLinks(lab)) === 1);
    await lab.site.runtime.db
      .updateTable('sign_in')
      .set({ expires_at: new Date(0) })
      .execute();
    expect(await over).toMatchObject({ code: 2, stderr: expect.stringContaining('Nobody signed in') });
    // A service account signs nobody in.
    const gmail = await lab.addMailbox('gmail');
    const refused = await runCommand(['mailbox', 'authorize', String(gmail.id)], { env: lab.site.env });
    expect(refused.stderr).toContain('Nobody signs in for this mailbox');
  });
});
