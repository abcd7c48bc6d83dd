/** The lab server against another IMAP client than the one we use, so that it is IMAP and not imapflow's dialect. */
import net from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LabImapServer } from '../../src/lab/imap/server.ts';
import { simpleMessage } from '../support/messages.ts';

/** Speaks IMAP by hand. */
class RawClient {
  readonly #socket: net.Socket;
  readonly #lines: AsyncIterator<string>;
  #tag = 0;

  constructor(port: number) {
    this.#socket = net.connect({ host: '127.0.0.1', port });
    this.#socket.on('error', () => {});
    this.#lines = createInterface({ input: this.#socket, crlfDelay: Number.POSITIVE_INFINITY })[
      Symbol.asyncIterator
    ]();
    onTestFinished(() => void this.#socket.destroy());
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    return done ? '(closed)' : value;
  }

  /** All lines of the answer to a command, without the tag. */
  async run(command: string): Promise<string[]> {
    this.#tag += 1;
    const tag = `t${this.#tag} `;
    this.#socket.write(`${tag}${command}\r\n`);
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      if (line === '(closed)') return [...lines, line];
      lines.push(line.startsWith(tag) ? line.slice(tag.length) : line);
      if (line.startsWith(tag)) return lines;
    }
  }

  send(text: string): void {
    this.#socket.write(text);
  }
}

async function start(options = {}): Promise<{ server: LabImapServer; client: RawClient }> {
  const server = new LabImapServer(options);
  const port = await server.start();
  onTestFinished(() => server.stop());
  server.addUser('ann', { password: 'secret' });
  const client = new RawClient(port);
  expect(await client.line()).toMatch(/^\* OK \[CAPABILITY IMAP4rev1 /);
  return { server, client };
}

describe('lab IMAP server', () => {
  it('lets nobody do anything before the login', async () => {
    const { client } = await start();
    expect(await client.run('SELECT INBOX')).toEqual(['BAD Not possible in this state']);
    expect(await client.run('LOGIN ann wrong')).toEqual([
      expect.stringMatching(/^NO \[AUTHENTICATIONFAILED\]/),
    ]);
    expect(await client.run('LOGIN ann secret')).toEqual(['OK Logged in']);
    expect(await client.run('LOGIN ann secret')).toEqual(['BAD Not possible in this state']);
    expect(await client.run('LOGOUT')).toEqual(['* BYE Logging out', 'OK LOGOUT completed']);
    expect(await client.line()).toBe('(closed)');
  });

  it('selects, fetches, stores, searches, copies and expunges', async () => {
    const { server, client } = await start();
    for (const subject of ['one', 'two', 'three']) server.deliver('ann', 'INBOX', simpleMessage(subject));
    await client.run('LOGIN ann secret');
    expect((await client.run('SELECT "INBOX"')).at(-1)).toBe('OK [READ-WRITE] SELECT completed');
    expect(await client.run('FETCH 2 (UID FLAGS)')).toEqual([
      '* 2 FETCH (UID 2 FLAGS ())',
      'OK FETCH completed',
    ]);
    expect(await client.run('FETCH 4 FLAGS')).toEqual(['BAD No such message']);
    expect(await client.run('UID FETCH 9:* FLAGS')).toEqual([
      '* 3 FETCH (UID 3 FLAGS ())',
      'OK FETCH completed',
    ]);
    expect(await client.run('UID FETCH 3 BODY[HEADER.FIELDS (SUBJECT)]')).toEqual([
      '* 3 FETCH (UID 3 BODY[HEADER.FIELDS (SUBJECT)] {18}',
      'Subject: three',
      '',
      ')',
      'OK FETCH completed',
    ]);
    expect(await client.run('SEARCH UNSEEN')).toEqual(['* SEARCH 1 2', 'OK SEARCH completed']);
    expect(await client.run('UID SEARCH OR (SUBJECT "two") UID 1')).toEqual([
      '* SEARCH 1 2',
      'OK SEARCH completed',
    ]);
    expect(await client.run('UID SEARCH NOT SEEN HEADER subject ONE')).toEqual([
      '* SEARCH 1',
      'OK SEARCH completed',
    ]);
    expect(await client.run('SEARCH WHATEVER')).toEqual(['BAD Unknown search key WHATEVER']);
    expect(await client.run('STORE 1 +FLAGS (\\deleted)')).toEqual([
      '* 1 FETCH (FLAGS (\\Deleted))',
      'OK STORE completed',
    ]);
    expect(await client.run('UID COPY 2 Trash')).toEqual([expect.stringMatching(/^OK \[COPYUID \d+ 2 1\]/)]);
    expect(await client.run('UID COPY 2 Nowhere')).toEqual(['NO [TRYCREATE] No such folder']);
    expect(await client.run('UID EXPUNGE 2:3')).toEqual(['OK EXPUNGE completed']);
    expect(await client.run('EXPUNGE')).toEqual(['* 1 EXPUNGE', 'OK EXPUNGE completed']);
    expect(server.messages('ann').map(({ uid }) => uid)).toEqual([2, 3]);
  });

  it('keeps numbers until it has told the client, and tells of changes by others', async () => {
    const { server, client } = await start();
    for (const subject of ['one', 'two', 'three']) server.deliver('ann', 'INBOX', simpleMessage(subject));
    await client.run('LOGIN ann secret');
    await client.run('SELECT INBOX');
    const first = server.messages('ann')[0];
    server.store.folder('ann', 'INBOX').remove(new Set(first ? [first] : []));
    server.deliver('ann', 'INBOX', simpleMessage('four'));
    expect(await client.run('FETCH 2 UID')).toEqual(['* 2 FETCH (UID 2)', 'OK FETCH completed']);
    expect(await client.run('NOOP')).toEqual(['* 1 EXPUNGE', '* 3 EXISTS', 'OK NOOP completed']);
    expect(await client.run('FETCH 2 UID')).toEqual(['* 2 FETCH (UID 3)', 'OK FETCH completed']);
  });

  it('tells of new mail during IDLE', async () => {
    const { server, client } = await start();
    await client.run('LOGIN ann secret');
    await client.run('SELECT INBOX');
    client.send('i IDLE\r\n');
    expect(await client.line()).toBe('+ idling');
    server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await client.line()).toBe('* 1 EXISTS');
    client.send('DONE\r\n');
    expect(await client.line()).toBe('i OK IDLE completed');
  });

  it('lists folders by pattern, makes, renames and deletes them', async () => {
    const { client } = await start();
    await client.run('LOGIN ann secret');
    expect(await client.run('LIST "" ""')).toEqual(['* LIST (\\Noselect) "/" ""', 'OK LIST completed']);
    expect(await client.run('CREATE Archive/2026')).toEqual(['OK CREATE completed']);
    expect(await client.run('CREATE Archive/2026')).toEqual(['NO [ALREADYEXISTS] Folder exists']);
    expect(await client.run('LIST "" Archive/%')).toEqual([
      '* LIST (\\HasNoChildren) "/" "Archive/2026"',
      'OK LIST completed',
    ]);
    expect(await client.run('LIST (SPECIAL-USE) "" *')).toHaveLength(3);
    expect(await client.run('RENAME Archive/2026 Old')).toEqual(['OK RENAME completed']);
    expect(await client.run('STATUS Old (MESSAGES UIDNEXT)')).toEqual([
      '* STATUS "Old" (MESSAGES 0 UIDNEXT 1)',
      'OK STATUS completed',
    ]);
    expect(await client.run('DELETE Old')).toEqual(['OK DELETE completed']);
    expect(await client.run('SELECT Old')).toEqual(['NO [NONEXISTENT] No such folder']);
  });

  it('opens folders read-only with EXAMINE', async () => {
    const { server, client } = await start();
    server.deliver('ann', 'INBOX', simpleMessage('one'));
    await client.run('LOGIN ann secret');
    await client.run('EXAMINE INBOX');
    await client.run('FETCH 1 BODY[]');
    expect((await client.run('STORE 1 +FLAGS (\\Seen)')).at(-1)).toMatch(/^NO \[READ-ONLY\]/);
    expect(server.messages('ann')[0]?.flags.size).toBe(0);
  });

  it('marks what is fetched without PEEK', async () => {
    const { server, client } = await start();
    server.deliver('ann', 'INBOX', simpleMessage('one'));
    await client.run('LOGIN ann secret');
    await client.run('SELECT INBOX');
    await client.run('FETCH 1 BODY[]');
    expect(server.messages('ann')[0]?.flags).toEqual(new Set(['\\Seen']));
  });

  it('takes APPEND with flags and date', async () => {
    const { server, client } = await start();
    await client.run('LOGIN ann secret');
    client.send('a APPEND Sent (\\seen) " 5-Feb-2024 10:00:00 +0100" {7}\r\n');
    expect(await client.line()).toBe('+ Ready');
    client.send('a: b\r\n\n\r\n');
    expect(await client.line()).toMatch(/^a OK \[APPENDUID \d+ 1\]/);
    const [message] = server.messages('ann', 'Sent');
    expect(message).toMatchObject({
      flags: new Set(['\\Seen']),
      internalDate: new Date('2024-02-05T09:00:00Z'),
    });
    expect(message?.content.bytes().toString()).toBe('a: b\r\n\n');
  });

  it('answers nonsense with BAD and lives on', async () => {
    const { client } = await start();
    for (const line of ['FETCH', 'x'.repeat(1000), 'LOGIN (', 'UID'])
      expect((await client.run(line)).at(-1)).toMatch(/BAD/);
    expect(await client.run('NOOP')).toEqual(['OK NOOP completed']);
  });

  it('logs commands without passwords', async () => {
    const { server, client } = await start();
    await client.run('LOGIN ann secret');
    await client.run('SELECT INBOX');
    expect(server.commands.map(({ name, detail }) => [name, detail])).toEqual([
      ['LOGIN', ''],
      ['SELECT', 'INBOX'],
    ]);
  });
});
