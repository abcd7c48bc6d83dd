/** What every source must do, whatever its protocol. Each kind of server runs these same tests. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Changes, Disposition, Fetched, Page, Session, Source } from '../../src/source/source.ts';
import { AWKWARD_MESSAGES, ODD_LINE_ENDS, simpleMessage } from '../support/messages.ts';

/** A message as somebody else sees it on the server. */
export interface OnServer {
  subject: string;
  seen: boolean;
}

/** A fresh, empty mailbox on a server. */
export interface ContractMailbox {
  /** The folder that mail comes into. */
  readonly folder: string;
  source(settings?: { password?: string; noopMs?: number }): Source;
  deliver(message: Buffer, options?: { internalDate?: Date }): Promise<void>;
  deliverMany(count: number, make: (index: number) => Buffer): Promise<void>;
  /** Another client deletes the message. */
  removeBySubject(subject: string): Promise<void>;
  look(folder: string): Promise<OnServer[]>;
}

export interface ContractServer {
  newMailbox(): Promise<ContractMailbox>;
  /** What the server makes of line ends that are not CRLF. */
  served(message: Buffer): Buffer;
  dispositions: readonly Disposition[];
  /** The protocol has folders, and a time of arrival for each message. */
  hasFolders: boolean;
  hasDates: boolean;
  /** Listed sizes are those of the bytes; else they are estimates. */
  hasExactSizes: boolean;
  /** The server tells of new mail while the session waits. */
  tellsNews: boolean;
  /** What a person is told to check when the login is refused. */
  loginAdvice: RegExp;
  /** A session sees the folder as it was when it began, and serves one pass: see Session.snapshot. */
  snapshot: boolean;
  /** A listing has keys only; sizes and dates are asked for by themselves. */
  listsKeysOnly?: boolean;
}

const LARGE = 10 * 1024 * 1024;
const LARGE_BODY = `${'x'.repeat(70)}\r\n`.repeat(3000);

export function sourceContract(start: () => Promise<ContractServer>): void {
  let server: ContractServer | undefined;
  const open: Session[] = [];

  async function mailbox(): Promise<ContractMailbox> {
    server ??= await start();
    return server.newMailbox();
  }

  async function sessionOf(box: ContractMailbox): Promise<Session> {
    const session = await box.source().connect(new AbortController().signal);
    open.push(session);
    await session.open(box.folder);
    return session;
  }

  /** The session that sees what happened since this one began: another one where sessions are snapshots. */
  async function later(box: ContractMailbox, session: Session): Promise<Session> {
    expect(session.snapshot).toBe(server?.snapshot);
    if (!session.snapshot) return session;
    await session.close();
    return await sessionOf(box);
  }

  afterEach(async () => {
    for (const session of open.splice(0)) await session.close();
  });

  describe('listing', () => {
    it('finds nothing in an empty folder, and a cursor for it', async () => {
      const session = await sessionOf(await mailbox());
      expect(await allItems(await session.changes(null))).toEqual([]);
      expect(await allItems(await session.changes(await session.currentCursor()))).toEqual([]);
      expect(await collect(session.keys())).toEqual([]);
      expect(await session.existing(['1', '2'])).toEqual(new Set());
    });

    it('lists in pages, and goes on from the cursor of any page', async () => {
      const box = await mailbox();
      const count = LIMITS.batchMessages * 2 + 50;
      await box.deliverMany(count, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const changes = found(await session.changes(null));
      expect(changes.total).toBe(count);
      const pages = await collect(changes.pages);
      const size = pages[0]!.items.length;
      expect([LIMITS.batchMessages, LIMITS.batchRequests]).toContain(size);
      const full = Array<number>(Math.floor(count / size)).fill(size);
      expect(pages.map((page) => page.items.length)).toEqual([...full, count % size]);
      const all = keysOf(pages);
      expect(new Set(all).size).toBe(count);
      await session.close();
      const other = await sessionOf(box);
      for (const [index, page] of pages.entries()) {
        const rest = keysOf(await collect(found(await other.changes(page.cursor)).pages));
        expect(rest).toEqual(all.slice((index + 1) * size));
      }
    });

    it('lists sizes and times of arrival', async () => {
      const box = await mailbox();
      const message = simpleMessage('dated');
      const internalDate = new Date('2024-02-29T12:34:56Z');
      await box.deliver(message, { internalDate });
      const session = await sessionOf(box);
      const [bare] = await allItems(await session.changes(null));
      if (server?.listsKeysOnly) expect(bare).toMatchObject({ size: 0, internalDate: null });
      const [item] = server?.listsKeysOnly
        ? (await collect(session.list([bare?.key as string, '4000000']))).flat()
        : [bare];
      if (server?.hasExactSizes) expect(item?.size).toBe(message.length);
      else expect(item?.size).toBeGreaterThan(0);
      expect(item?.internalDate).toBe(server?.hasDates ? internalDate.toISOString() : null);
    });

    it('T2.3 lists nothing again when nothing is new, though n:* matches the last message', async () => {
      const box = await mailbox();
      await box.deliverMany(3, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const pages = await collect(found(await session.changes(null)).pages);
      const { cursor } = pages.at(-1) as Page;
      for (let round = 0; round < 3; round += 1) {
        const again = found(await session.changes(cursor));
        expect(again.total).toBe(0);
        expect(await collect(again.pages)).toEqual([]);
      }
    });

    it('finds mail that comes during a listing, once, in that listing or the next', async () => {
      const box = await mailbox();
      await box.deliverMany(LIMITS.batchMessages + 1, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const keys: string[] = [];
      let cursor = '';
      for await (const page of found(await session.changes(null)).pages) {
        if (cursor === '') await box.deliver(simpleMessage('late'));
        keys.push(...page.items.map(({ key }) => key));
        ({ cursor } = page);
      }
      const next = await later(box, session);
      keys.push(...(await allItems(await next.changes(cursor))).map(({ key }) => key));
      expect(keys).toHaveLength(LIMITS.batchMessages + 2);
      expect(new Set(keys).size).toBe(keys.length);
      const fetched = await fetchAll(next, keys);
      expect(fetched.map(subjectOf).filter((subject) => subject === 'late')).toHaveLength(1);
    });

    it('begins from now with the current cursor', async () => {
      const box = await mailbox();
      await box.deliver(simpleMessage('old'));
      const session = await sessionOf(box);
      const cursor = await session.currentCursor();
      await box.deliver(simpleMessage('new'));
      const next = await later(box, session);
      const keys = (await allItems(await next.changes(cursor))).map(({ key }) => key);
      expect((await fetchAll(next, keys)).map(subjectOf)).toEqual(['new']);
    });

    it('allows other calls between two pages', async () => {
      const box = await mailbox();
      await box.deliverMany(LIMITS.batchMessages + 5, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const subjects: string[] = [];
      for await (const page of found(await session.changes(null)).pages) {
        const keys = page.items.map(({ key }) => key);
        expect((await session.existing(keys)).size).toBe(keys.length);
        subjects.push(...(await fetchAll(session, keys)).map(subjectOf));
      }
      expect(subjects).toHaveLength(LIMITS.batchMessages + 5);
    });

    it('gives all keys for the audit', async () => {
      const box = await mailbox();
      await box.deliverMany(5, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const listed = (await allItems(await session.changes(null))).map(({ key }) => key);
      await box.removeBySubject('m2');
      const keys = (await collect((await later(box, session)).keys())).flat();
      expect(keys).toEqual(listed.filter((_key, index) => index !== 2));
    });

    it('says that a cursor of another epoch, or of another kind, is lost', async () => {
      const session = await sessionOf(await mailbox());
      for (const cursor of ['nonsense', '{}', '{"uidValidity":"1","lastUid":7}']) {
        expect((await session.changes(cursor)).lost).toBe(true);
      }
    });
  });

  describe('fetching', () => {
    it('gives every byte as it is on the server, whole and streamed, and marks nothing', async () => {
      const box = await mailbox();
      const messages = [...AWKWARD_MESSAGES.values(), ...ODD_LINE_ENDS.values()];
      for (const message of messages) await box.deliver(message);
      const session = await sessionOf(box);
      const keys = (await allItems(await session.changes(null))).map(({ key }) => key);
      const whole = new Map(
        (await collect(session.fetch(keys, LARGE))).map((fetched) => [fetched.key, fetched]),
      );
      for (const [index, key] of keys.entries()) {
        const expected = (server as ContractServer).served(messages[index] as Buffer);
        expect(bytesOf(whole.get(key)).toString('latin1')).toBe(expected.toString('latin1'));
        const streamed = await buffer(await session.stream(key, LARGE));
        expect(streamed.equals(expected)).toBe(true);
      }
      expect((await box.look(box.folder)).map(({ seen }) => seen)).toEqual(messages.map(() => false));
    });

    it('answers for every key, also for those that are not there', async () => {
      const box = await mailbox();
      await box.deliverMany(4, (index) => simpleMessage(`m${index}`));
      const session = await sessionOf(box);
      const keys = (await allItems(await session.changes(null))).map(({ key }) => key);
      await box.removeBySubject('m1');
      const fetched = await collect(session.fetch([...keys, '4000000'], LARGE));
      expect(fetched.map(({ key }) => key).sort()).toEqual([...keys, '4000000'].sort());
      const failed = fetched.filter((one) => 'error' in one);
      expect(failed.map(({ key }) => key).sort()).toEqual([keys[1], '4000000'].sort());
      expect(failed.map(({ error }) => error.code)).toEqual(['fetch_failed', 'fetch_failed']);
      const next = await later(box, session);
      expect(await next.existing([...keys, '4000000'])).toEqual(new Set([keys[0], keys[2], keys[3]]));
      await expect(next.stream(keys[1] as string, LARGE)).rejects.toMatchObject({ code: 'fetch_failed' });
    });

    it('T10.2 does not take a message above the limit, whole or streamed', async () => {
      const box = await mailbox();
      await box.deliver(simpleMessage('small'));
      const large = simpleMessage('large', LARGE_BODY);
      await box.deliver(large);
      const session = await sessionOf(box);
      const items = await allItems(await session.changes(null));
      const keys = items.map(({ key }) => key);
      const fetched = await collect(session.fetch(keys, 1000));
      expect(fetched.find(({ key }) => key === keys[1])).toEqual({ key: keys[1], tooLarge: true });
      const stream = await session.stream(keys[1] as string, 100_000);
      await expect(buffer(stream)).rejects.toMatchObject({ code: 'message_oversized' });
      // The limit is inclusive, and the session goes on.
      const size = server?.served(large).length as number;
      expect((await buffer(await session.stream(keys[1] as string, size))).length).toBe(size);
      expect(bytesOf((await collect(session.fetch([keys[1] as string], size)))[0]).length).toBe(size);
    });

    it('streams a message of several pieces whole', async () => {
      const box = await mailbox();
      const message = simpleMessage('huge', `${'0123456789'.repeat(7)}\r\n`.repeat(40_000));
      await box.deliver(message);
      const session = await sessionOf(box);
      const [item] = await allItems(await session.changes(null));
      const streamed = await buffer(await session.stream(item?.key as string, LARGE));
      expect(sha256(streamed)).toBe(sha256(message));
    });

    it('recognises messages by their header and size, and leaves out those that are gone', async () => {
      const box = await mailbox();
      for (const subject of ['one', 'two', 'three']) await box.deliver(simpleMessage(subject));
      const session = await sessionOf(box);
      const items = await allItems(await session.changes(null));
      const keys = items.map(({ key }) => key);
      await box.removeBySubject('two');
      const prints = await collect((await later(box, session)).fingerprints([...keys, '4000000']));
      expect(prints.map(({ key }) => key)).toEqual([keys[0], keys[2]]);
      const message = simpleMessage('one');
      const header = message.subarray(0, message.indexOf('\r\n\r\n') + 4);
      expect(prints[0]?.headerSha256.toString('hex')).toBe(sha256(header));
      expect(prints[0]?.size).toBe(server?.listsKeysOnly ? message.length : items[0]?.size);
    });
  });

  describe('dispositions', () => {
    async function three(): Promise<{ box: ContractMailbox; session: Session; keys: string[] }> {
      const box = await mailbox();
      for (const subject of ['one', 'two', 'three']) await box.deliver(simpleMessage(subject));
      const session = await sessionOf(box);
      const keys = (await allItems(await session.changes(null))).map(({ key }) => key);
      return { box, session, keys };
    }

    it('leave does nothing', async () => {
      const { box, session, keys } = await three();
      expect([...(await session.dispose(keys, 'leave', null)).values()]).toEqual(['done', 'done', 'done']);
      expect((await box.look(box.folder)).map(({ seen }) => seen)).toEqual([false, false, false]);
    });

    it('seen marks these and no others, and may be repeated', async (context) => {
      const { box, session, keys } = await three();
      if (!server?.dispositions.includes('seen')) return expectRefused(session, keys, 'seen', context);
      for (let round = 0; round < 2; round += 1) {
        const results = await session.dispose(keys.slice(0, 2), 'seen', null);
        expect([...results]).toEqual(keys.slice(0, 2).map((key) => [key, 'done']));
      }
      expect((await box.look(box.folder)).map(({ seen }) => seen)).toEqual([true, true, false]);
    });

    it('move makes the folder, moves, and says gone when repeated', async (context) => {
      const { box, session, keys } = await three();
      if (!server?.dispositions.includes('move')) return expectRefused(session, keys, 'move', context);
      const moved = keys.slice(0, 2);
      expect([...(await session.dispose(moved, 'move', 'Processed')).values()]).toEqual(['done', 'done']);
      expect((await box.look('Processed')).map(({ subject }) => subject)).toEqual(['one', 'two']);
      expect((await box.look(box.folder)).map(({ subject }) => subject)).toEqual(['three']);
      expect([...(await session.dispose(moved, 'move', 'Processed')).values()]).toEqual(['gone', 'gone']);
      expect((await box.look('Processed')).map(({ subject }) => subject)).toEqual(['one', 'two']);
    });

    it('delete deletes these and no others, and says gone when repeated', async (context) => {
      const { box, session, keys } = await three();
      if (!server?.dispositions.includes('delete')) return expectRefused(session, keys, 'delete', context);
      expect([...(await session.dispose([keys[1] as string], 'delete', null)).values()]).toEqual(['done']);
      expect((await box.look(box.folder)).map(({ subject }) => subject)).toEqual(['one', 'three']);
      const next = await later(box, session);
      expect([...(await next.dispose([keys[1] as string], 'delete', null)).values()]).toEqual(['gone']);
    });

    it('T20.2 answers for messages that somebody else took meanwhile', async () => {
      const { box, session, keys } = await three();
      await box.removeBySubject('two');
      for (const what of (server as ContractServer).dispositions) {
        if (what === 'leave') continue;
        const [here] = keys.splice(what === 'seen' ? 3 : 0, what === 'seen' ? 0 : 1);
        const asked = here ? [here, '4000000'] : ['4000000'];
        const results = await session.dispose(asked, what, what === 'move' ? 'Processed' : null);
        expect(results.get('4000000')).toBe('gone');
      }
    });
  });

  describe('waiting', () => {
    it('hears of new mail, or finds it after the wait', async () => {
      const box = await mailbox();
      const session = await sessionOf(box);
      await allItems(await session.changes(null));
      const stop = new AbortController();
      // A snapshot hears of nothing, so nothing is gained by waiting long.
      const waiting = session.wait(session.snapshot ? 50 : 20_000, stop.signal);
      await box.deliver(simpleMessage('news'));
      if (session.snapshot) expect(await waiting).toBe('parted');
      else if (server?.tellsNews) expect(await waiting).toBe('changed');
      stop.abort();
      await waiting;
      expect(await allItems(await (await later(box, session)).changes(null))).toHaveLength(1);
    });

    it('ends when the time is up, and when it is told to, and works on afterwards', async () => {
      const box = await mailbox();
      const session = await sessionOf(box);
      const over = session.snapshot ? 'parted' : 'timeout';
      expect(await session.wait(50, new AbortController().signal)).toBe(over);
      const stop = new AbortController();
      const waiting = session.wait(600_000, stop.signal);
      setImmediate(() => stop.abort());
      expect(await waiting).toBe(over);
      expect(await allItems(await (await later(box, session)).changes(null))).toEqual([]);
    });
  });

  describe('the connection', () => {
    it('says that a folder is missing', async () => {
      const box = await mailbox();
      const session = await sessionOf(box);
      if (server?.hasFolders)
        await expect(session.open('Nowhere')).rejects.toMatchObject({ code: 'folder_missing' });
      expect((await session.open(box.folder)).writable).toBe(true);
    });

    it('says that the login was refused', async () => {
      const box = await mailbox();
      const source = box.source({ password: 'wrong' });
      await expect(source.connect(new AbortController().signal)).rejects.toMatchObject({
        code: 'auth_failed',
      });
    });

    it('ends an attempt that is no longer wanted', async () => {
      const box = await mailbox();
      await expect(box.source().connect(AbortSignal.abort())).rejects.toBeInstanceOf(PenstockError);
    });

    it('closes twice without harm, and refuses calls from then on', async () => {
      const session = await sessionOf(await mailbox());
      await session.close();
      await session.close();
      await expect(session.existing(['1'])).rejects.toMatchObject({
        code: 'connection_lost',
        message: 'The session was closed',
      });
      await expect(session.changes(null)).rejects.toMatchObject({ code: 'connection_lost' });
    });

    it('diagnoses settings that work, and a wrong password', async () => {
      const box = await mailbox();
      const signal = new AbortController().signal;
      const good = await box.source().diagnose(signal);
      expect(good.filter(({ ok }) => !ok)).toEqual([]);
      expect(good.map(({ step }) => step)).toEqual(
        expect.arrayContaining(['dns', 'tcp', 'login', 'folders']),
      );
      const last = (await box.source({ password: 'wrong' }).diagnose(signal)).at(-1);
      expect(last).toMatchObject({ step: 'login', ok: false });
      expect(last?.advice).toMatch((server as ContractServer).loginAdvice);
    });
  });
}

async function expectRefused(
  session: Session,
  keys: string[],
  what: Disposition,
  { task }: { task: { name: string } },
): Promise<void> {
  const results = await session.dispose(keys, what, what === 'move' ? 'Processed' : null);
  for (const result of results.values()) expect(result, task.name).toMatchObject({ code: 'unsupported' });
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

export function found(changes: Changes): Extract<Changes, { lost: false }> {
  if (changes.lost) throw new Error(`Unexpectedly lost: ${changes.reason}`);
  return changes;
}

export async function allItems(changes: Changes): Promise<Page['items']> {
  return (await collect(found(changes).pages)).flatMap(({ items }) => items);
}

function keysOf(pages: readonly Page[]): string[] {
  return pages.flatMap(({ items }) => items.map(({ key }) => key));
}

export async function fetchAll(session: Session, keys: readonly string[]): Promise<Buffer[]> {
  return (await collect(session.fetch(keys, LARGE))).map((fetched) => bytesOf(fetched));
}

export function bytesOf(fetched: Fetched | undefined): Buffer {
  if (!fetched || !('bytes' in fetched)) throw new Error(`No bytes: ${JSON.stringify(fetched)}`);
  return fetched.bytes;
}

function subjectOf(message: Buffer): string {
  return /^Subject: (.*?)\r?$/m.exec(message.toString('latin1'))?.[1] ?? '';
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
