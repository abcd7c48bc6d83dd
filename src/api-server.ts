/** Binds the API to the other parts and serves it. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { buildApi } from './api/server.ts';
import type { ApiServices, OperationalAnswer } from './api/services.ts';
import type { Sender } from './deliver/sender.ts';
import { fail } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { ParsedMessage } from './message/message.ts';
import type { Events } from './observe/events.ts';
import type { Facts } from './observe/facts.ts';
import { healthAnswer, judgeHealth } from './observe/health.ts';
import { createLiveness } from './observe/liveness.ts';
import type { Metrics } from './observe/metrics.ts';
import { addressing } from './outbound/addressing.ts';
import type { ThreadTask } from './process/thread.ts';
import type { Explanation } from './rule/explain.ts';
import type { Runtime } from './runtime.ts';
import { sendingOf } from './store/sending-settings.ts';
import { VERSION } from './version.ts';
import type { Work } from './work.ts';

export interface ApiServer {
  /** Where clients reach it. */
  url: string;
  /** The same on this machine, when another server stands in front. */
  localUrl: string;
  close(): Promise<void>;
}

interface Parts {
  runtime: Runtime;
  events: Events;
  work: Work;
  sender: Sender;
  metrics: Metrics;
  readFacts(): Promise<Facts>;
}

export async function serveApi(parts: Parts): Promise<ApiServer> {
  const { runtime, events } = parts;
  const { server, poller, gmail, destinations, mail } = runtime.config;
  const api = await buildApi({
    db: runtime.db,
    keys: runtime.keys,
    events,
    config: { server, poller, gmail, destinations, mail },
    version: VERSION,
    services: bindServices(parts),
  });
  await api.listen({ host: server.host, port: server.port }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${error.code ?? error.message})`;
    throw fail(
      'config_invalid',
      `Port ${server.port} on ${server.host} ${why}; set PENSTOCK_PORT.`,
      {},
      error,
    );
  });
  const { port } = api.server.address() as AddressInfo;
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  const localUrl = `http://${host}:${port}`;
  return { url: server.publicUrl ?? localUrl, localUrl, close: () => api.close() };
}

function bindServices({ runtime, work, sender, metrics, readFacts }: Parts): ApiServices {
  const liveness = createLiveness();
  const inThread = <T>(task: ThreadTask, bytes: number): Promise<T> =>
    work.pool.run<T>(task, {
      timeoutMs:
        runtime.config.worker.parseTimeoutMs + (bytes / 1_048_576) * LIMITS.parseTimeoutPerMegabyteMs,
    });
  return {
    raw: runtime.raw,
    async enqueue(emails) {
      for (const { id, mailboxId } of emails)
        await work.enqueue(work.policies.kindOf(mailboxId), mailboxId, [{ id }]);
    },
    async parse({ rawSha256, size }) {
      const raw = (await runtime.raw.locate([rawSha256])).get(rawSha256.toString('hex'))!;
      return await inThread<ParsedMessage>({ kind: 'parse', raw }, size);
    },
    explain: (rules, bytes, mailboxId) =>
      inThread<Explanation>({ kind: 'explain', rules, bytes, mailboxId }, bytes.length),
    diagnose: (...asked) => runtime.sources.diagnoseDraft(...asked),
    async sendTest(mailbox, given, { to, subject, text }, signal) {
      const sending = sendingOf(mailbox);
      if (sending === null) throw fail('send_not_configured', 'The mailbox has no server to send by.');
      const secrets = {
        ...(mailbox.id === 0 ? {} : await runtime.sources.sendingSecrets(mailbox.id)),
        ...given,
      };
      const transport = await runtime.sources.draftTransport(mailbox, secrets);
      const facts = { mailboxId: mailbox.id, sending, tokenKey: randomBytes(32) };
      const { sender: from, messageId } = addressing(facts, 0);
      const mail = {
        ...{ messageId, from, subject, text, date: new Date(), html: null, inReplyTo: null, attachments: [] },
        recipients: { to, cc: [], bcc: [], replyTo: null },
        ...{ automatic: 'auto-generated' as const, instanceId: runtime.instanceId, delivered: [] },
      };
      const { accepted, refused } = await transport.send(mail, async () => undefined, signal);
      if (accepted.length === 0) throw fail('send_refused', refused.map((one) => one.message).join('; '));
    },
    subjectTags: () => runtime.config.mail,
    signIns: runtime.signIns,
    contacts: (mailbox) => runtime.sources.contacts(mailbox, LIMITS.contacts),
    testDestination: (destination, messageId) => sender.test(destination, messageId),
    async live(): Promise<OperationalAnswer> {
      const { live, reason } = liveness();
      return { ok: live, body: { live, reason } };
    },
    async ready(): Promise<OperationalAnswer> {
      const facts = await readFacts();
      const health = judgeHealth(facts, facts.now);
      return { ok: health.ready, body: healthAnswer(health) };
    },
    async metrics() {
      return { contentType: metrics.contentType, body: await metrics.render() };
    },
  };
}
