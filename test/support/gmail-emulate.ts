/**
 * The Gmail of the npm package `emulate`, which others wrote, behind TLS. Two things are the door's: `getProfile`, which
 * it does not have, from its `watch`, which knows the history id too; and the refusal of tokens, as it takes any. What it
 * cannot show: history that ends, limits, and what comes of a watch.
 */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createEmulator } from 'emulate';
import { type Certificate, makeCertificate } from '../../src/lab/certificate.ts';
import { onCleanup } from './cleanup.ts';
import { freePort } from './port.ts';

const TOKEN = 'test_token_admin';

export interface GmailEmulator {
  rootUrl: string;
  certificate: Certificate;
  token: string;
  /** A mailbox without any message. */
  empty(): Promise<void>;
  /** A call of the API below `users/me/`, as another client. */
  call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
}

export async function startGmailEmulator(): Promise<GmailEmulator> {
  const emulator = await createEmulator({ service: 'google', port: await freePort() });
  onCleanup(() => emulator.close());
  const users = `${emulator.url}/gmail/v1/users/`;
  const send = async (method: string, url: string, authorization: string | undefined, body?: string) =>
    await fetch(url, {
      method,
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        'content-type': 'application/json',
      },
      ...(body === undefined || body === '' ? {} : { body }),
    });

  const certificate = makeCertificate({ names: ['localhost'] });
  const door = createServer({ key: certificate.key, cert: certificate.cert }, async (request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    let body = '';
    for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString('utf8');
    if (headers.authorization !== `Bearer ${TOKEN}`) {
      response.writeHead(401, { 'content-type': 'application/json' });
      return response.end(
        '{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}',
      );
    }
    const isProfile = url.endsWith('/profile');
    const answer = isProfile
      ? await send(
          'POST',
          `${users}me/watch`,
          headers.authorization,
          '{"topicName":"projects/lab/topics/lab"}',
        )
      : await send(method, `${emulator.url}${url}`, headers.authorization, body);
    const text = await answer.text();
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    if (!isProfile || !answer.ok) return response.end(text);
    const { historyId } = JSON.parse(text) as { historyId: string };
    response.end(JSON.stringify({ emailAddress: 'desk@example.com', historyId }));
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  onCleanup(() => {
    door.closeAllConnections();
    door.close();
  });

  const call: GmailEmulator['call'] = async (method, path, body) => {
    const answer = await send(method, `${users}me/${path}`, `Bearer ${TOKEN}`, JSON.stringify(body));
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  return {
    rootUrl: `https://localhost:${(door.address() as AddressInfo).port}/`,
    certificate,
    token: TOKEN,
    call,
    async empty() {
      emulator.reset();
      const { messages = [] } = await call('GET', 'messages?includeSpamTrash=true&maxResults=500');
      for (const { id } of messages as { id: string }[]) await call('DELETE', `messages/${id}`);
    },
  };
}
