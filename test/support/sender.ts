/** A program that sends what waits, through the transport it is told of: to be killed at a crash point. */
import { Events } from '../../src/observe/events.ts';
import { Dispatcher } from '../../src/outbound/dispatcher.ts';
import { gmailTransport } from '../../src/send/gmail.ts';
import { graphTransport } from '../../src/send/graph.ts';
import type { Transport } from '../../src/send/mail.ts';
import { smtpTransport } from '../../src/send/smtp.ts';
import { GmailApi } from '../../src/source/gmail/api.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import { GraphMailbox } from '../../src/source/graph/graph-source.ts';
import { openDatabase } from '../../src/store/database.ts';

const { url, kind, settings, token } = JSON.parse(process.argv[2] ?? '{}');
const { db } = openDatabase(url, { connections: 3, onError: () => undefined });
const tokens = { get: async () => token as string, rejected: async () => undefined };
const make: Record<string, () => Transport> = {
  smtp: () => smtpTransport(settings),
  graph: () => graphTransport(new GraphMailbox(settings, tokens)),
  gmail: () => gmailTransport(new GmailApi({ ...settings, tokens }, DEFAULT_GMAIL_OPTIONS)),
};
const transport = make[kind as string]!();
new Dispatcher({
  db,
  events: new Events(),
  instanceId: 'penstock-test',
  transportOf: async () => transport,
  times: { everyMs: 100, claimSeconds: 1, quietSeconds: 0 },
}).start();
