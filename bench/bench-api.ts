/** The API as the bench uses it: with the credentials that the first start left in the data directory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export class BenchApi {
  readonly #url: string;
  readonly #token: string;
  /** Process id of the daemon. */
  readonly pid: number;

  private constructor(url: string, token: string, pid: number) {
    this.#url = url;
    this.#token = token;
    this.pid = pid;
  }

  static async connect(data: string): Promise<BenchApi> {
    const { url, pid } = JSON.parse(readFileSync(join(data, 'running.json'), 'utf8')) as {
      url: string;
      pid: number;
    };
    const { client_id, client_secret } = JSON.parse(
      readFileSync(join(data, 'admin-client.json'), 'utf8'),
    ) as Record<string, string>;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client_id!,
      client_secret: client_secret!,
      scope: 'all',
    });
    const answer = await fetch(`${url}/auth/token`, { method: 'POST', body: form });
    const { access_token } = (await answer.json()) as { access_token: string };
    return new BenchApi(url, access_token, pid);
  }

  async post(path: string, body: unknown): Promise<unknown> {
    const answer = await fetch(this.#url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  }

  /** An IMAP mailbox whose mail is marked seen, in Halo's field names. */
  async addMailbox(port: number, user: string, password: string): Promise<void> {
    await this.post('/api/Mailbox', [
      {
        name: user,
        type: 1,
        enabled: true,
        server: '127.0.0.1',
        popport: port,
        username: user,
        password,
        usetls: false,
        imapleavemailininbox: true,
        penstock: { after: 'seen' },
      },
    ]);
  }
}
