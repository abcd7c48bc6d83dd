/** Whatever bytes a message has: it is stored, and it ends in a record or in quarantine; never in a failed insert. */
import fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { findPosted, takePosted } from '../../src/intake/post.ts';
import { Events } from '../../src/observe/events.ts';
import { analyse } from '../../src/process/analysis.ts';
import { PolicyCache } from '../../src/process/policy-cache.ts';
import { Processor } from '../../src/process/processor.ts';
import { RuleCache } from '../../src/process/rule-cache.ts';
import { commitIntake } from '../../src/store/intake.ts';
import { saveDispositions } from '../../src/store/ledger.ts';
import { type Mailbox, saveMailboxError } from '../../src/store/mailboxes.ts';
import { startIntake } from '../support/intake.ts';
import { Site } from '../support/site.ts';

/** Pieces that meet in the nastiest places: structure, encodings, NUL, halves of surrogate pairs. */
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'binary', maxLength: 60 }).map((text) => Buffer.from(text, 'utf8')),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text, 'utf16le')),
  fc
    .constantFrom(
      '\r\n',
      '\n',
      '\0',
      '\r\n\r\n',
      '--b\r\n',
      '--b--\r\n',
      'Subject: ',
      'From: ',
      'To: "',
      'Message-ID: <',
      'References: <',
      'Date: Thu, 32 Foo 99999 99:99:99 +9999\r\n',
      'Date: ',
      'Received: from x; Mon, 1 Jan 0000 00:00:00 -0000\r\n',
      'Auto-Submitted: ',
      'List-Id: ',
      'Return-Path: <>\r\n',
      'X-Halo-\0: ',
      '__proto__: x\r\n',
      'constructor: x\r\n',
      'Content-Type: multipart/mixed; boundary=b\r\n',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n',
      'Content-Type: message/delivery-status\r\n\r\n',
      'Content-Type: message/rfc822\r\n\r\n',
      'Content-Type: text/html; charset="\0"\r\n\r\n',
      'Content-Type: text/plain; charset=utf-16\r\n\r\n',
      'Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Transfer-Encoding: quoted-printable\r\n',
      "Content-Disposition: attachment; filename*=utf-16''%00%D8\r\n",
      '=?utf-16le?B?ANg=?=',
      '=?utf-8?Q?=ED=A0=80=00?=',
      '&#xD800;&#0;',
      '{"a":"\\u0000\\ud800"}',
      '[ID:99999999999999999999]',
      '#critical ',
    )
    .map((text) => Buffer.from(text, 'latin1')),
);
const HEAD = Buffer.from('From: Ann <ann@example.org>\r\nTo: desk@example.com\r\n');
/** Half of them with a sender, so that they go all the way to a ticket. */
const message = fc
  .tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 40 }))
  .map(([known, pieces]) => Buffer.concat(known ? [HEAD, ...pieces] : pieces))
  .filter((bytes) => bytes.length > 0);

/** Stores a message and processes it; `failed` are the troubles with the database. */
class Desk {
  readonly site: Site;
  readonly mailbox: Mailbox;
  readonly failed: unknown[] = [];
  readonly #processor: Processor;
  #key = 0;

  static async start(): Promise<Desk> {
    const site = await Site.start({ backend: 'postgres' });
    return new Desk(site, await site.addMailbox('desk', { dedup: 'none' }));
  }

  private constructor(site: Site, mailbox: Mailbox) {
    this.site = site;
    this.mailbox = mailbox;
    const { db, raw, instanceId } = site.runtime;
    const events = new Events();
    events.listen((name, data) => {
      if (name === 'engine.error') this.failed.push(data);
    });
    const policies = new PolicyCache(site.runtime);
    this.#processor = new Processor({
      db,
      raw,
      events,
      rules: new RuleCache(db, events),
      // In this thread: the same code, and what crosses is cloned as at the border.
      pool: { run: async (task) => structuredClone(await analyse(structuredClone(task))) },
      timeouts: { messageMs: 60_000, perMegabyteMs: 0 },
      instanceId,
      destinations: async () => [],
      policyOf: (id) => policies.of(id),
    });
  }

  async put(bytes: Buffer): Promise<{ state: string; code: string | null; stage: string | null }> {
    this.#key += 1;
    const { db, raw } = this.site.runtime;
    const posted = { key: `any-${this.#key}`, raw: await raw.put(bytes), internalDate: null };
    const { stored } = await takePosted(db, this.mailbox, 'import', [posted]);
    const id = stored[0]!.id;
    await this.#processor.handle({ mailbox: this.mailbox.id, ids: [id] });
    return await db
      .selectFrom('incoming_email')
      .select(['state', 'error_code as code', 'error_stage as stage'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
  }
}

describe('T15.2 any bytes', () => {
  it('T15.2 end in a record or in quarantine by the parser; the database takes all of it', async () => {
    const desk = await Desk.start();
    const ends = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const { state, code, stage } = await desk.put(bytes);
        ends.set(state, (ends.get(state) ?? 0) + 1);
        expect(desk.failed).toEqual([]);
        expect(['processed', 'ignored', 'parked', 'quarantined']).toContain(state);
        if (state === 'quarantined')
          expect([stage, code]).toEqual(['parse', expect.stringMatching(/^mime_|^parse_/)]);
      }),
      { numRuns: 300 },
    );
    expect(ends.get('processed')).toBeGreaterThan(50);
  }, 60_000);

  it('T15.2 keys of any text and length name one message each', async () => {
    const { site, mailbox } = await Desk.start();
    const { db, raw } = site.runtime;
    const put = await raw.put(Buffer.from('Subject: x\r\n\r\n'));
    const seen = new Set<string>();
    const text = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
      fc.string({ unit: 'binary', minLength: 900, maxLength: 1000 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.constantFrom('a', 'a\0', '\0', '\ud800', '\ud801')), async (key) => {
        const result = await takePosted(db, mailbox, 'import', [{ key, raw: put, internalDate: null }]);
        expect(result.stored).toHaveLength(seen.has(key) ? 0 : 1);
        seen.add(key);
        expect(await findPosted(db, mailbox.id, 'import', key)).not.toBeNull();
      }),
      { numRuns: 150 },
    );
  });

  it('T15.2 reasons of any text are kept with their rows, and can be read again', async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.deliver(['m1']);
    await intake.pass();
    const { db, held } = intake;
    const { id: mailboxId } = held.mailbox;
    const [{ id: ledgerId } = { id: 0 }] = await intake.ledger();
    const folder = { id: 1, path: 'INBOX' };
    const batch = { mailboxId, leaseToken: held.leaseToken, folder, epoch: '1', source: 'imap' } as const;
    let key = 0;
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    });
    await fc.assert(
      fc.asyncProperty(text, async (reason) => {
        key += 1;
        const result = { state: 'pending' as const, reason, attempts: 1, retryInSeconds: 0 };
        const items = [{ key: String(key), size: 1, internalDate: null, result }];
        await commitIntake(db, { ...batch, items, dropCopies: true, dispose: true, cursor: null });
        await saveMailboxError(db, mailboxId, 'internal', reason);
        await saveDispositions(db, mailboxId, held.leaseToken, 'seen', false, [
          { id: ledgerId, result: 'failed', attempts: 1, error: reason, retryInSeconds: 0 },
        ]);
        await sql`select events::jsonb from trace`.execute(db);
      }),
      { numRuns: 60 },
    );
  });
});
