/** What stands before a daemon on the internet: TLS, and nothing passed on but the notifications of providers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody, send } from './answer.ts';
import { LabHttpServer } from './server.ts';

const BODY_BYTES = 1024 * 1024;
const ANSWER_MS = 10_000;
const PASSED_ON = '/notifications/';

export class LabFront extends LabHttpServer<{ route: string; status: number }> {
  /** Address of the daemon, `http://host:port`; until it is known everything gets 503. */
  target: string | null = null;

  protected override async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    const body = await readBody(request, BODY_BYTES);
    const seen = { route: url.split('?', 1)[0]!, status: 0 };
    this.log(seen);
    if (this.target === null || body === null || method !== 'POST' || !url.startsWith(PASSED_ON)) {
      seen.status = this.target === null ? 503 : 404;
      return send(response, { status: seen.status });
    }
    const passed: Record<string, string> = {};
    for (const name of ['content-type', 'authorization']) {
      const value = headers[name];
      if (typeof value === 'string') passed[name] = value;
    }
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`${this.target}${url}`, { method, headers: passed, body, signal });
    seen.status = answer.status;
    const type = answer.headers.get('content-type');
    const text = Buffer.from(await answer.arrayBuffer());
    send(response, {
      status: answer.status,
      headers: type === null ? {} : { 'Content-Type': type },
      body: text,
    });
  }
}
