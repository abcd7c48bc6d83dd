/** Credentials that expire without anyone noticing (osTicket#6455, #6513, itop#224): tokens, on a real database. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import type { TokenEvent } from '../../src/source/oauth/token-service.ts';
import { addKey, dropOldKeys } from '../../src/store/keyring.ts';
import { forgetTokens, tokenStandings } from '../../src/store/oauth-tokens.ts';
import { resealSecrets } from '../../src/store/secrets.ts';
import {
  byRefreshToken,
  bySecret,
  entraCredential,
  loginsOf,
  startOauth,
  startTokenLab,
  type TokenLab,
} from '../support/oauth.ts';
import { startScript } from '../support/process.ts';

let server: LabOauthServer;
let lab: TokenLab;
let used = 0;

beforeAll(async () => {
  [server, lab] = await Promise.all([startOauth(), startTokenLab()]);
});

beforeEach(() => {
  used += 1;
  server.faults.clear();
  server.grants.rotate = false;
  server.grants.lifeSeconds = 3600;
  server.seen.length = 0;
  server.grants.clients.clear();
  server.grants.clients.set('app', { secret: 'secret' });
});

/** Another credential for each test. */
const id = (): string => `mailbox:${used}`;
const app = (secret = 'secret') => entraCredential(server, bySecret(secret), { id: id() });
const delegated = (token: string) => entraCredential(server, byRefreshToken(token), { id: id() });

/** Clock and database move on together. */
class Time {
  now = 1_000_000;
  readonly monotonic = (): number => this.now;

  async pass(seconds: number): Promise<void> {
    this.now += seconds * 1000;
    await lab.passTime(seconds);
  }
}

describe('T5.2 renewal', () => {
  it('happens once when many ask at once, in one process', async () => {
    const service = lab.service();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => service.token(app())));
    expect(new Set(tokens).size).toBe(1);
    expect(server.count('token')).toBe(1);
  });

  it('happens once when two processes ask at once with a refresh token that the server replaces', async () => {
    server.grants.rotate = true;
    const credential = delegated(server.grants.issueRefreshToken('ann@example.com', 'mail'));
    // Both are there before the first answer.
    server.faults.add({ at: 'token', action: { do: 'wait', ms: 1_500 } });
    const task = JSON.stringify({ url: lab.url, keyFile: lab.keyFile, credential });
    const script = new URL('../support/token-asker.ts', import.meta.url).pathname;
    const programs = [startScript(script, [task]), startScript(script, [task])];
    const said = await Promise.all(programs.map((program) => program.waitForLine(/^token (\S+)/)));
    expect(said[0]![1]).toBe(said[1]![1]);
    expect(server.count('token')).toBe(1);
    // The new refresh token was kept: the old one would be refused.
    await lab.passTime(3600);
    const next = await lab.service().token(credential);
    expect(server.grants.holderOf(next)).toMatchObject({ user: 'ann@example.com' });
  });

  it('is stored before the new token is used, and encrypted', async () => {
    server.grants.rotate = true;
    const first = server.grants.issueRefreshToken('bob@example.com', 'mail');
    const token = await lab.service().token(delegated(first));
    const { rows } = await lab.connection.pool.query(
      'select owner, ciphertext as bytes from secret where owner = $1',
      [`oauth:${id()}`],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0].bytes.toString('latin1')).not.toContain(token);
    expect(rows[0].bytes.toString('latin1')).not.toContain('refresh-');
  });

  it('keeps what the server gave when the database refused it, and uses nothing of it until it is stored', async () => {
    server.grants.rotate = true;
    const credential = delegated(server.grants.issueRefreshToken('cid@example.com', 'mail'));
    const service = lab.service();
    const block =
      'create function refuse() returns trigger language plpgsql as $$ begin raise exception $s$full$s$; end $$';
    await lab.connection.pool.query(block);
    await lab.connection.pool.query(
      'create trigger refuse before update on oauth_token for each row execute function refuse()',
    );
    await expect(service.token(credential)).rejects.toThrow('full');
    await expect(service.token(credential)).rejects.toThrow('full');
    await lab.connection.pool.query('drop trigger refuse on oauth_token; drop function refuse');
    // The first refresh token is void by now; only who remembers the second gets in.
    expect(server.grants.holderOf(await service.token(credential))).toMatchObject({
      user: 'cid@example.com',
    });
  });

  it('survives a change of the key that encrypts', async () => {
    const service = lab.service();
    const token = await service.token(app());
    await resealSecrets(lab.connection.db, await addKey(lab.keyFile));
    await dropOldKeys(lab.keyFile);
    expect(await lab.service().token(app())).toBe(token);
    expect(server.count('token')).toBe(1);
  });
});

describe('T5.4 a poll every 30 seconds for a day', () => {
  it('asks for a token every 48 minutes', async () => {
    const time = new Time();
    const service = lab.service({ monotonic: time.monotonic });
    for (let second = 0; second < 86_400; second += 30) {
      await service.token(app());
      await time.pass(30);
    }
    // 80 % of an hour: 2,880 seconds.
    expect(server.count('token')).toBe(30);
  });
});

describe('T5.3 a refusal that only a person can mend', () => {
  it.each([
    ['an expired client secret', 7000222, 'credential_expired'],
    ['a wrong tenant', 90002, 'application_unknown'],
    ['missing consent', 65001, 'consent_needed'],
    ['a second factor', 50076, 'sign_in_needed'],
  ])('%s leads to one alert and no more requests, in any process', async (_case, entra, code) => {
    server.grants.clients.set('app', { secret: 'secret', entra });
    const time = new Time();
    const events: TokenEvent[] = [];
    const report = (event: TokenEvent): void => void events.push(event);
    const services = [1, 2].map(() => lab.service({ monotonic: time.monotonic, report }));
    for (let minute = 0; minute < 24 * 60; minute += 10) {
      for (const service of services) await expect(service.token(app())).rejects.toMatchObject({ code });
      await time.pass(600);
    }
    expect(server.count('token')).toBe(1);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ kind: 'failed', credential: id(), failure: { terminal: true, code } });
    const [standing] = await tokenStandings(lab.connection.db, [id()]);
    expect(standing).toMatchObject({ failure: { code, terminal: true, attempts: 1 } });
  });

  it('is forgotten when the credential changes', async () => {
    server.grants.clients.set('app', { secret: 'new' });
    const service = lab.service();
    await expect(service.token(app('old'))).rejects.toMatchObject({ code: 'credential_refused' });
    await expect(service.token(app('old'))).rejects.toMatchObject({ code: 'credential_refused' });
    expect(server.grants.holderOf(await service.token(app('new')))).not.toBeNull();
    expect(server.count('token')).toBe(2);
    const [standing] = await tokenStandings(lab.connection.db, [id()]);
    expect(standing?.failure).toBeNull();
  });

  it('is asked for again when a person says so', async () => {
    server.grants.clients.set('app', { secret: 'secret', entra: 65001 });
    const service = lab.service();
    await expect(service.token(app())).rejects.toMatchObject({ code: 'consent_needed' });
    server.grants.clients.set('app', { secret: 'secret' });
    await expect(service.token(app())).rejects.toMatchObject({ code: 'consent_needed' });
    expect(server.grants.holderOf(await service.retry(app()))).not.toBeNull();
    expect(server.grants.holderOf(await service.token(app()))).not.toBeNull();
  });

  it('does not take away a token that still lives', async () => {
    const time = new Time();
    const service = lab.service({ monotonic: time.monotonic });
    const token = await service.token(app());
    server.grants.clients.set('app', { secret: 'secret', entra: 7000222 });
    await time.pass(3000);
    expect(await service.token(app())).toBe(token);
    expect(server.count('token')).toBe(2);
    await time.pass(590);
    await expect(service.token(app())).rejects.toMatchObject({ code: 'credential_expired' });
    expect(server.count('token')).toBe(2);
  });

  it('a refresh token that was revoked asks for a sign-in, and a new one brings all back', async () => {
    server.grants.rotate = true;
    const service = lab.service();
    const before = delegated(server.grants.issueRefreshToken('dan@example.com', 'mail'));
    await service.token(before);
    await lab.passTime(3600);
    server.grants.revoke('dan@example.com');
    await expect(lab.service().token(before)).rejects.toMatchObject({ code: 'sign_in_needed' });
    const after = delegated(server.grants.issueRefreshToken('dan@example.com', 'mail'));
    expect(server.grants.holderOf(await lab.service().token(after))).toMatchObject({
      user: 'dan@example.com',
    });
  });
});

describe('a failure that passes', () => {
  it('is waited out longer and longer, and the token serves as long as it lives', async () => {
    const time = new Time();
    const service = lab.service({ monotonic: time.monotonic, random: () => 1 });
    const token = await service.token(app());
    server.faults.add({ at: 'token', action: { do: 'answer', status: 500 } });
    await time.pass(2880);
    for (let second = 0; second < 690; second += 5) {
      expect(await service.token(app())).toBe(token);
      await time.pass(5);
    }
    // After 0, 5, 15, 35, 75, 155, 315 and 635 seconds.
    expect(server.count('token')).toBe(1 + 8);
    await expect(service.token(app())).rejects.toMatchObject({ code: 'server_protocol', temporary: true });
    server.faults.clear();
    await time.pass(900);
    expect(server.grants.holderOf(await service.token(app()))).not.toBeNull();
  });

  it('T17.1 is not asked about before the server said', async () => {
    const time = new Time();
    const service = lab.service({ monotonic: time.monotonic });
    server.faults.add({
      at: 'token',
      action: { do: 'answer', status: 429, headers: { 'retry-after': '300' } },
      times: 1,
    });
    for (let second = 0; second < 300; second += 20) {
      await expect(service.token(app())).rejects.toMatchObject({
        code: 'server_busy',
        fields: { backoffMs: expect.closeTo((300 - second) * 1000, -4) },
      });
      await time.pass(20);
    }
    expect(server.count('token')).toBe(1);
    await time.pass(1);
    expect(server.grants.holderOf(await service.token(app()))).not.toBeNull();
  });
});

describe('T5.1 a token that the mail server refuses', () => {
  it('is replaced once it is not new any more, for all processes', async () => {
    const [one, two] = [lab.service(), lab.service()];
    const token = await one.token(app());
    expect(await two.token(app())).toBe(token);
    // Refused at once: another one would be refused too.
    await one.rejected(app(), token);
    expect(await one.token(app())).toBe(token);
    await lab.passTime(120);
    await Promise.all([one.rejected(app(), token), two.rejected(app(), token)]);
    const tokens = await Promise.all([one.token(app()), two.token(app())]);
    expect(tokens[0]).toBe(tokens[1]);
    expect(tokens[0]).not.toBe(token);
    expect(server.count('token')).toBe(2);
    // A late complaint about the old one does not touch the new one.
    await lab.passTime(120);
    await one.rejected(app(), token);
    expect(await one.token(app())).toBe(tokens[0]);
  });
});

describe('several credentials of a mailbox', () => {
  it('the first that works is used, and what failed is noted with each', async () => {
    server.grants.clients.set('expired', { entra: 7000222 });
    const dead = entraCredential(server, bySecret('x'), { id: `${id()}:a`, clientId: 'expired' });
    const broken = entraCredential(server, bySecret('x'), {
      id: `${id()}:b`,
      tokenUrl: 'https://127.0.0.1:1/',
    });
    const good = entraCredential(server, bySecret('secret'), { id: `${id()}:c` });
    const service = lab.service();
    const used: string[] = [];
    const logins = loginsOf(service, [dead, broken, good], { used: (name) => void used.push(name) });
    const token = await service.token(good);
    for (let round = 0; round < 3; round += 1) {
      expect(await logins.get()).toEqual({ kind: 'xoauth2', token });
    }
    expect(used).toEqual([good.id]);
    expect(server.count('token')).toBe(2);
    const standings = await tokenStandings(lab.connection.db, [dead.id, broken.id, good.id]);
    expect(
      standings.sort((a, b) => (a.credential < b.credential ? -1 : 1)).map((row) => row.failure?.code),
    ).toEqual(['credential_expired', 'connect_failed', undefined]);
    // One may recover by itself, so waiting is right.
    await expect(loginsOf(service, [dead, broken]).get()).rejects.toMatchObject({ code: 'connect_failed' });
    await expect(loginsOf(service, [dead]).get()).rejects.toMatchObject({ code: 'credential_expired' });
    await expect(loginsOf(service, []).get()).rejects.toMatchObject({ code: 'validation_failed' });
  });
});

describe('a credential that is no longer used', () => {
  it('leaves nothing behind', async () => {
    await lab.service().token(app());
    await lab.connection.db.transaction().execute((tx) => forgetTokens(tx, id()));
    expect(await tokenStandings(lab.connection.db, [id()])).toEqual([]);
    const { rows } = await lab.connection.pool.query('select 1 from secret where owner = $1', [
      `oauth:${id()}`,
    ]);
    expect(rows).toEqual([]);
  });
});
