/** An API on a database of its own, with services that tests can look into. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Api } from '../../src/api/route.ts';
import { buildApi } from '../../src/api/server.ts';
import type { ApiContext, ApiServices, QueuedEmail } from '../../src/api/services.ts';
import { fail } from '../../src/errors.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { explainRules } from '../../src/rule/explain.ts';
import { buildView } from '../../src/rule/view.ts';
import { createClient } from '../../src/store/clients.ts';
import { type Connection, type Database, openDatabase } from '../../src/store/database.ts';
import { type Keyring, loadKeyring } from '../../src/store/keyring.ts';
import { defaultMail } from '../support/default-mail.ts';
import { tempFolder } from '../support/folder.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { Contract, type Document } from './contract.ts';

export interface Fixture {
  api: Api;
  db: Database;
  keys: Keyring;
  raw: RawStore;
  events: Events;
  /** Faults of ours that answers do not tell about. */
  failures: string[];
  /** What was handed to the queue, in order. */
  enqueued: QueuedEmail[];
  /** Replaces services; undone by the test that does it. */
  services: ApiServices;
  context: ApiContext;
  /** Token of a client with the scope `all`. */
  token: string;
  /** A token with these scopes, of a client of its own. */
  tokenFor(...scopes: string[]): Promise<string>;
  /** Sends a request with the token, unless the headers say otherwise. */
  send(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export type Answer = LightMyRequestResponse;

/** Makes the fixture before the tests of a file and ends it after them. `change` adjusts what the API is given. */
export function useApi(change: (context: ApiContext) => void = () => {}): Fixture {
  const fixture = {} as Fixture;
  let connection: Connection;

  beforeAll(async () => {
    const database = await createTestDatabase();
    connection = openDatabase(database.url, { connections: 5, onError: () => {} });
    const { db } = connection;
    const folder = await tempFolder();
    const keys = await loadKeyring(join(folder, 'secret.key'), true);
    const raw = new RawStore(connection.db, folder);
    await raw.start();
    const events = new Events();
    const failures: string[] = [];
    events.listen((name, data) => {
      if (name === 'api.failed') failures.push(JSON.stringify(data));
    });
    const enqueued: QueuedEmail[] = [];
    const services = makeServices(raw, enqueued);
    const context: ApiContext = {
      db,
      keys,
      events,
      config: {
        server: {
          host: '127.0.0.1',
          port: 0,
          publicUrl: null,
          trustProxy: false,
          requestsPerMinute: 100_000,
        },
        destinations: { allow: [] },
        mail: defaultMail(),
        gmail: { topic: null, pushAccount: null, pushAudience: null },
        poller: { staleIntervals: 3, leaseSeconds: 30, connectionsPerHost: 20, connectsPerMinute: 120 },
      },
      version: '0.0.0-test',
      services,
    };
    change(context);
    const api = await buildApi(context);
    await api.ready();
    const contract = new Contract(api.swagger() as unknown as Document);
    Object.assign(fixture, { api, db, keys, raw, events, failures, enqueued, services, context });
    fixture.tokenFor = async (...scopes) => await newToken(api, db, scopes);
    fixture.token = await fixture.tokenFor('all');
    fixture.send = async (method, url, body, headers = {}) => {
      const options: InjectOptions = {
        method: method as 'GET',
        url,
        headers: { authorization: `Bearer ${fixture.token}`, ...headers },
      };
      if (body !== undefined) options.payload = body as object;
      const answer = await api.inject(options);
      const type = String(answer.headers['content-type'] ?? '');
      const wrong = contract.errors(method, url, answer.statusCode, type, answer.payload);
      expect(wrong, `${method} ${url} ${answer.statusCode} against the document: ${answer.payload}`).toEqual(
        [],
      );
      return answer;
    };
  });

  afterAll(async () => {
    await fixture.api?.close();
    await connection?.close();
  });
  return fixture;
}

function makeServices(raw: RawStore, enqueued: QueuedEmail[]): ApiServices {
  return {
    raw,
    enqueue: async (emails) => {
      enqueued.push(...emails.map(({ id, mailboxId }) => ({ id, mailboxId })));
    },
    parse: async ({ rawSha256 }) => await parseMessage(await raw.read(rawSha256)),
    explain: async (rules, bytes, mailboxId) =>
      explainRules(compileRules(rules, 0), buildView(await parseMessage(bytes)), { mailboxId }),
    diagnose: async () => [
      { step: 'dns', ok: true, found: '192.0.2.1', advice: null, milliseconds: 1 },
      { step: 'login', ok: true, found: 'logged in', advice: null, milliseconds: 1 },
    ],
    sendTest: async () => undefined,
    subjectTags: () => ({ subjectStartTag: '[ID:', subjectEndTag: ']' }),
    contacts: async ({ id, kind }) => {
      if (kind !== 'graph') throw fail('unsupported', `Mailbox ${id} is not a Graph mailbox.`);
      return [
        {
          id: 'c1',
          displayName: 'Ann Lee',
          givenName: 'Ann',
          surname: 'Lee',
          address: 'ann@example.org',
          company: 'Example',
          phone: '+1 555 0100',
          mobile: '',
        },
      ];
    },
    signIns: {
      link: async (mailboxId) => ({
        url: `https://penstock.example.org/oauth/start/${mailboxId}?link=secret`,
        expiresAt: new Date('2030-01-01T00:00:00Z'),
        state: async () => 'open',
      }),
      begin: async () => null,
      finish: async () => ({ kind: 'over' }),
      exchange: async (_mailbox, _secrets, { code, redirectUri }) => `refresh for ${code} at ${redirectUri}`,
    },
    testDestination: async () => ({ kind: 'delivered', reference: null }),
    live: async () => ({ ok: true, body: { live: true } }),
    ready: async () => ({ ok: true, body: { ready: true, reasons: [] } }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'penstock_up 1\n' }),
  };
}

async function newToken(api: Api, db: Database, scopes: string[]): Promise<string> {
  const { clientId, clientSecret } = await createClient(db, 'test', scopes);
  const answer = await askToken(api, { client_id: clientId, client_secret: clientSecret });
  return (answer.json() as { access_token: string }).access_token;
}

/** Asks for a token as known clients do: a form. */
export async function askToken(api: Api, fields: Record<string, string>, query = ''): Promise<Answer> {
  return await api.inject({
    method: 'POST',
    url: `/auth/token${query}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({ grant_type: 'client_credentials', ...fields }).toString(),
  });
}

/** A mailbox as a client would post it. */
export function mailboxItem(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'Support',
    type: 1,
    server: 'imap.example.org',
    username: 'support@example.org',
    password: 'correct horse',
    enabled: true,
    ...more,
  };
}

/** Makes a mailbox and returns its id. Each has a user of its own, so that none repeats another. */
export async function newMailbox(fixture: Fixture, more: Record<string, unknown> = {}): Promise<number> {
  const username = `${randomBytes(6).toString('hex')}@example.org`;
  const answer = await fixture.send('POST', '/api/Mailbox', [mailboxItem({ username, ...more })]);
  return (answer.json() as { id: number }).id;
}

/** A small message, base64. */
export function rawMessage(subject: string, body = 'Hello.'): string {
  const text = [
    'From: Ann <ann@example.org>',
    'To: support@example.org',
    `Subject: ${subject}`,
    `Message-ID: <${randomBytes(8).toString('hex')}@example.org>`,
    '',
    body,
    '',
  ].join('\r\n');
  return Buffer.from(text).toString('base64');
}
