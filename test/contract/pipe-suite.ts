/**
 * What the whole pipe must do for every kind of mailbox, from the server to the record, on either queue. Four mailboxes
 * on one site, one of each kind, are told the same and must end the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { apiError } from '../../src/lab/gmail/errors.ts';
import { JOB_NAMES } from '../../src/queue/job.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import { DEFAULT_GRAPH_OPTIONS } from '../../src/source/graph/settings.ts';
import type { Session, SourceKind } from '../../src/source/source.ts';
import type { MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { expectEachOnce } from '../support/each-once.ts';
import { hasten } from '../support/hasten.ts';
import { stepping } from '../support/intake.ts';
import { AWKWARD_MESSAGES, simpleMessage } from '../support/messages.ts';
import { DESK, EFFECTS, KINDS, type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { ODD_THREAD, oddMessage } from '../support/odd-thread.ts';
import { Pipe } from '../support/pipe.ts';
import { type Backend, until } from '../support/site.ts';

type Lab = OauthSite;

/** A mailbox of each kind. */
async function startAll(
  backend: Backend,
  settingsOf: (kind: SourceKind) => Partial<MailboxSettings> = (kind) => EFFECTS[kind],
): Promise<Lab> {
  const lab = await startOauthSite(backend);
  for (const kind of KINDS) await lab.addMailbox(kind, settingsOf(kind));
  return lab;
}

function deliverToAll(lab: Lab, messages: Iterable<Buffer>): void {
  for (const bytes of messages) for (const kind of KINDS) lab.deliver(kind, bytes);
}

const numbered = (name: string, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => simpleMessage(`${name}-${index}`));

/** A person who does not want to wait for the next attempts. */
function impatient(lab: Lab, pipe: Pipe): () => Promise<void> {
  return async () => {
    await sleep(150);
    await lab.site.hurryRetries();
    await wakeAll(lab, pipe);
  };
}

async function wakeAll({ site }: Lab, pipe: Pipe): Promise<void> {
  const rows = await site.runtime.db.selectFrom('mailbox').select('id').execute();
  for (const { id } of rows) pipe.supervisor.wake(id);
}

/** Calls `act` at one step of the first session of each kind that comes to it. */
function once(at: string, act: (kind: SourceKind) => void, passages = 1) {
  const left = new Map(KINDS.map((kind) => [kind, passages]));
  return (kind: SourceKind, session: Session): Session =>
    stepping(session, (_step, call) => {
      if (call !== at) return;
      left.set(kind, left.get(kind)! - 1);
      if (left.get(kind) === 0) act(kind);
    });
}

/** Records as they are kept, by the digest of their bytes, without what only places and times tell apart. */
async function recordsOf({ site }: Lab, kind: SourceKind): Promise<Map<string, unknown>> {
  const { rows } = await sql<{ sha: string; record: Record<string, unknown> }>`
    select encode(raw_sha256, 'hex') as sha, to_jsonb(incoming_email) as record from incoming_email
    where source = ${kind} and subject <> 'first'`.execute(site.runtime.db);
  const own = /(^|_)(id|at|date|token|until)$|^(source|attempts)$/;
  return new Map(
    rows.map(({ sha, record }) => [
      sha,
      Object.fromEntries(Object.entries(record).filter(([name]) => name === 'message_id' || !own.test(name))),
    ]),
  );
}

export function pipeContract(backend: Backend): void {
  hasten(DEFAULT_GRAPH_OPTIONS);
  hasten(DEFAULT_GMAIL_OPTIONS);

  it('the same messages in, the same records out, byte for byte', async () => {
    const lab = await startAll(backend);
    // POP3 cannot say that the last line has no end (RFC 1939 section 3).
    const awkward = [...AWKWARD_MESSAGES].filter(([name]) => name !== 'no-final-newline');
    const bodies = [
      ...awkward.map(([, bytes]) => bytes),
      simpleMessage('large', 'a large line\r\n'.repeat(40_000)),
    ];
    // Whoever writes first is nobody's customer yet, which a record tells: that must not be one of those compared.
    lab.deliver('imap', simpleMessage('first'));
    const pipe = await Pipe.start(lab.site);
    await lab.site.waitUntilProcessed();
    deliverToAll(lab, bodies);
    await lab.site.waitUntilProcessed();
    deliverToAll(lab, [simpleMessage('later')]);
    await lab.site.waitUntilProcessed();
    // Without a sender nobody can be answered: a person looks at those.
    await expectEachOnce(lab, { ends: (bytes) => (bytes.includes('From: ') ? 'processed' : 'parked') });
    const imap = await recordsOf(lab, 'imap');
    expect(imap.size).toBe(bodies.length + 1);
    for (const kind of KINDS)
      expect(Object.fromEntries(await recordsOf(lab, kind)), kind).toEqual(Object.fromEntries(imap));
    expect([...pipe.of('token.failed'), ...pipe.of('mailbox.failed')]).toEqual([]);
    // One each for this process and the audit together, whoever asked first.
    expect(lab.oauth.count('token')).toBe(KINDS.length);
  });

  it('jobs bear the names of their kinds', async () => {
    const lab = await startAll(backend);
    deliverToAll(lab, [simpleMessage('one')]);
    const named = new Map<SourceKind, number>();
    const pipe = await Pipe.start(lab.site, { work: { process: false } });
    const names = { imap: 'IMAPMessage', pop3: 'Pop3Message', graph: 'AzureMessage', gmail: 'GmailMessage' };
    expect(JOB_NAMES).toMatchObject(names);
    await pipe.waitFor('job.enqueued', KINDS.length);
    for (const { mailbox } of pipe.of('job.enqueued')) {
      const row = await lab.site.runtime.db
        .selectFrom('mailbox')
        .select('kind')
        .where('id', '=', mailbox)
        .executeTakeFirstOrThrow();
      named.set(row.kind, (named.get(row.kind) ?? 0) + 1);
    }
    expect(Object.fromEntries(named)).toEqual({ imap: 1, pop3: 1, graph: 1, gmail: 1 });
  });

  it('T7.2 every cursor is lost, with mail that came meanwhile and mail that went', async () => {
    const lab = await startAll(backend, (kind) => ({
      after: 'leave',
      // Nothing but content tells a POP3 message that has another unique-id.
      dedup: kind === 'pop3' ? 'content' : 'none',
    }));
    deliverToAll(lab, numbered('old', 20));
    const before = await Pipe.start(lab.site);
    await lab.site.waitUntilProcessed();
    await before.stop();
    for (const kind of KINDS) {
      lab.remove(kind, 'Subject: old-7\r\n');
      lab.loseCursor(kind);
    }
    deliverToAll(lab, numbered('new', 3));
    const pipe = await Pipe.start(lab.site);
    await lab.site.waitUntilProcessed();
    await pipe.waitFor('mailbox.listed', KINDS.length);
    await expectEachOnce(lab);
  });

  it('T5.1 every token ends in the middle of a fetch', async () => {
    const lab = await startAll(backend);
    deliverToAll(lab, numbered('m', 40));
    let ended = 0;
    const endTokens = (kind: SourceKind): void => {
      ended += 1;
      lab.endToken(kind);
      // Microsoft ends IMAP and POP3 sessions with their tokens.
      if (kind === 'imap') lab.imap.disconnectAll();
      if (kind === 'pop3') lab.pop3.faults.add({ at: 'retr', times: 1, action: { do: 'reset' } });
    };
    // Tokens that are old enough to be replaced when a server refuses them.
    await lab.site.audit();
    await sql`update oauth_token set obtained_at = obtained_at - interval '30 minutes'`.execute(
      lab.site.runtime.db,
    );
    const pipe = await Pipe.start(lab.site, { wrap: once('fetch', endTokens, 5) });
    await lab.site.waitUntilProcessed(impatient(lab, pipe));
    await expectEachOnce(lab);
    expect(ended).toBe(KINDS.length);
    expect(pipe.of('token.failed')).toEqual([]);
    expect(pipe.of('mailbox.blocked')).toEqual([]);
  });

  it('T17.1 every server asks to be left alone, and nothing is lost by it', async () => {
    const lab = await startAll(backend);
    deliverToAll(lab, numbered('m', 12));
    const busy = 'Request is throttled. Suggested Backoff Time: 90000 milliseconds';
    lab.imap.faults.add({ at: 'fetch', action: { do: 'bad', text: busy } });
    lab.pop3.faults.add({ at: 'login', action: { do: 'err', text: '[SYS/TEMP] Too many connections' } });
    lab.graph.faults.add({
      at: 'value',
      after: 3,
      times: 1,
      action: { do: 'answer', status: 429, code: 'ApplicationThrottled', retryAfter: 1 },
    });
    const limited = apiError(429, 'rateLimitExceeded', 'Too many concurrent requests for user.');
    lab.gmail.faults.add({ at: 'get', times: 2, action: { do: 'answer', ...limited } });
    const pipe = await Pipe.start(lab.site);
    await pipe.waitFor('mailbox.failed', 2);
    const waits = pipe.of('mailbox.failed').map(({ code, retryInMs }) => [code, retryInMs >= 60_000]);
    expect(waits).toEqual([
      ['server_busy', true],
      ['server_busy', true],
    ]);
    await until(async () => (await lab.site.emails()).length === 24);
    // Nobody may have gone back to the two that asked for a minute and more.
    expect(lab.inInbox('imap')).toHaveLength(12);
    expect(lab.inInbox('pop3')).toHaveLength(12);
    lab.imap.faults.clear();
    lab.pop3.faults.clear();
    await wakeAll(lab, pipe);
    await lab.site.waitUntilProcessed();
    await expectEachOnce(lab);
    const refused = lab.graph.requests.findIndex(({ status }) => status === 429);
    // Up to two were under way when the first was refused.
    const later = lab.graph.requests.slice(refused + 3);
    expect(Math.min(...later.map(({ at }) => at)) - lab.graph.requests[refused]!.at).toBeGreaterThan(900);
  });

  it('T3.3 one message that no server can give, T3.1 and one that kills the parser', async () => {
    const lab = await startAll(backend);
    const poison = simpleMessage('poison');
    const killer = oddMessage('killer', 'throw');
    deliverToAll(lab, [...numbered('before', 3), poison, killer, ...numbered('after', 3)]);
    lab.imap.faults.add({ at: 'fetch', uids: [4], action: { do: 'no', text: 'Message is corrupt' } });
    lab.pop3.faults.add({ at: 'retr', uids: [4], action: { do: 'err', text: 'Message is corrupt' } });
    const onGraph = lab.graph.mailbox(DESK).folder('inbox')!.messages[3]!.immutableId;
    lab.graph.faults.add({
      at: 'value',
      key: onGraph,
      action: { do: 'answer', status: 500, code: 'ErrorInternalServerError' },
    });
    const onGmail = [...lab.onGmail.messages.values()].find(({ raw }) => raw.equals(poison))!.id;
    lab.gmail.faults.add({
      at: 'get',
      about: onGmail,
      action: { do: 'answer', ...apiError(500, 'backendError', 'Backend Error') },
    });
    const pipe = await Pipe.start(lab.site, { work: { threadFile: ODD_THREAD } });
    await lab.site.waitUntilProcessed(impatient(lab, pipe));
    await expectEachOnce(lab, {
      ends: (bytes) => (bytes.equals(poison) ? null : bytes.equals(killer) ? 'quarantined' : 'processed'),
    });
    const failed =
      await sql`select state, count(*)::int as count from ledger where state <> 'stored' group by state`.execute(
        lab.site.runtime.db,
      );
    expect(failed.rows).toEqual([{ state: 'fetch_failed', count: KINDS.length }]);
  });

  it('T18.2 a message is deleted under us, between its listing and its fetch', async () => {
    const lab = await startAll(backend);
    deliverToAll(lab, numbered('m', 6));
    const removed = new Set<SourceKind>();
    const pipe = await Pipe.start(lab.site, {
      wrap: once('fetch', (kind) => {
        removed.add(kind);
        lab.remove(kind, 'Subject: m-3\r\n');
      }),
    });
    await lab.site.waitUntilProcessed(impatient(lab, pipe));
    expect(removed.size).toBe(KINDS.length);
    await expectEachOnce(lab, { mayBeGone: (bytes) => bytes.includes('Subject: m-3\r\n') });
    const { rows } = await sql<{ state: string }>`select distinct state from ledger order by state`.execute(
      lab.site.runtime.db,
    );
    expect(rows.map(({ state }) => state)).toEqual(['gone', 'stored']);
  });
}
