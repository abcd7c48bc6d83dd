/**
 * A client of Halo's API, as its users write one: fetch, and what Halo publishes (token, JSON, arrays in, one record or
 * an array out). It has never heard of Penstock, and imports nothing of it.
 */

export type Item = Record<string, unknown> & { id: number };

export class HaloClient {
  readonly #origin: string;
  readonly #credentials: Record<string, string>;
  #tokenServer = '';
  #authorization = '';
  /** Every request since {@link taken} was called, as `POST /api/Mailbox 201`. */
  #log: string[] = [];

  constructor(origin: string, clientId: string, clientSecret: string) {
    this.#origin = origin;
    this.#credentials = { client_id: clientId, client_secret: clientSecret };
  }

  /** Finds the token server and signs in, as Halo's own PowerShell module does. */
  async signIn(): Promise<Record<string, unknown>> {
    const info = (await (await this.#send('GET', '/api/AuthInfo')).json()) as { auth_url: string };
    this.#tokenServer = `${info.auth_url}/token`;
    return await this.#newToken();
  }

  async get<T = Item>(path: string): Promise<T> {
    return (await this.#ask('GET', path)) as T;
  }

  /** The body is an array in Halo's API, also for one record. */
  async post<T = Item>(path: string, body: unknown): Promise<T> {
    return (await this.#ask('POST', path, body)) as T;
  }

  /** What was asked and answered since the last call. Ids are left out, and what was repeated is there once. */
  taken(): { request: string; answer: string } {
    const each = [...new Set(this.#log)];
    this.#log = [];
    const split = each.map((line) => /^(.*) (\d+)$/.exec(line)!);
    return {
      request: [...new Set(split.map(([, request]) => request))].join(', '),
      answer: [...new Set(split.map(([, , status]) => status))].join(', '),
    };
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    let answer = await this.#send(method, path, body);
    if (answer.status === 401) {
      await this.#newToken();
      answer = await this.#send(method, path, body);
    }
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  async #newToken(): Promise<Record<string, unknown>> {
    const form = new URLSearchParams({
      ...this.#credentials,
      grant_type: 'client_credentials',
      scope: 'all',
    });
    const answer = await fetch(this.#tokenServer, { method: 'POST', body: form });
    this.#note('POST', '/auth/token', answer.status);
    const token = (await answer.json()) as Record<string, unknown>;
    this.#authorization = `${token.token_type} ${token.access_token}`;
    return token;
  }

  async #send(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { authorization: this.#authorization };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const answer = await fetch(`${this.#origin}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    this.#note(method, path, answer.status);
    return answer;
  }

  #note(method: string, path: string, status: number): void {
    const pattern = path
      .replace(/\/\d+(?=[/?]|$)/g, '/{id}')
      .replace(/(page_no|_id)=\d+/g, '$1=…')
      .replace(/^\/api/, '');
    this.#log.push(`${method} ${pattern} ${status}`);
  }
}
