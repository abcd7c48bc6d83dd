/** What the demo knows of Penstock: its public HTTP API, as any client program would use it. */
import type { TraceRow } from '../observe/trace.ts';

/** A record of incoming mail, as lists show it. */
export interface RecordRow {
  id: number;
  /** What the server calls the message: for IMAP its UID. */
  mailid: string;
  status: number;
  subject: string | null;
  dateprocessed: string | null;
}

const REQUEST_MS = 15_000;
const PAGE_SIZE = 500;

export class DemoClient {
  readonly #url: string;
  readonly #credentials: { clientId: string; clientSecret: string };
  #token = '';

  constructor(url: string, credentials: { clientId: string; clientSecret: string }) {
    this.#url = url;
    this.#credentials = credentials;
  }

  /** Gets a token; call it before anything else, and again when it has expired. */
  async logIn(): Promise<void> {
    const { clientId, clientSecret } = this.#credentials;
    const answer = await this.#send<{ access_token: string }>('/auth/token', {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: clientSecret,
      }),
    });
    this.#token = answer.access_token;
  }

  /** Saves one record and returns what the server made of it. */
  async post<T extends { id: number }>(path: string, item: object): Promise<T> {
    return await this.#send<T>(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      // Halo's clients always post arrays; one item comes back as one object.
      body: JSON.stringify([item]),
    });
  }

  async get<T>(path: string): Promise<T> {
    return await this.#send<T>(path, {});
  }

  /** All records of a mailbox, oldest first. */
  async records(mailbox: number): Promise<RecordRow[]> {
    const rows: RecordRow[] = [];
    for (let page = 1; ; page += 1) {
      const query = `mbid=${mailbox}&pageinate=true&page_no=${page}&page_size=${PAGE_SIZE}&order=id`;
      const answer = await this.get<{ record_count: number; incomingemails: RecordRow[] }>(
        `/api/incomingemail?${query}`,
      );
      rows.push(...answer.incomingemails);
      if (answer.incomingemails.length < PAGE_SIZE) return rows;
    }
  }

  async trace(id: number): Promise<TraceRow[]> {
    return await this.get<TraceRow[]>(`/api/incomingemail/${id}/trace`);
  }

  async #send<T>(path: string, request: RequestInit): Promise<T> {
    const answer = await this.#fetch(path, request);
    if (answer.status === 401 && this.#token !== '' && path !== '/auth/token') {
      // The demo may run longer than a token lives.
      await this.logIn();
      return await this.#read<T>(path, await this.#fetch(path, request));
    }
    return await this.#read<T>(path, answer);
  }

  async #fetch(path: string, request: RequestInit): Promise<Response> {
    const headers = new Headers(request.headers);
    if (this.#token !== '') headers.set('authorization', `Bearer ${this.#token}`);
    return await fetch(`${this.#url}${path}`, {
      ...request,
      headers,
      signal: AbortSignal.timeout(REQUEST_MS),
    });
  }

  async #read<T>(path: string, answer: Response): Promise<T> {
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }
}
