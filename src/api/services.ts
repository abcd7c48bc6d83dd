/**
 * What the API needs from the rest of the daemon. The daemon binds it; tests give their own. Reading and
 * changing rows is not here: the API does that itself through src/store.
 */
import type { Readable } from 'node:stream';
import type { Config } from '../config/settings.ts';
import type { Verdict } from '../deliver/verdict.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import type { ParsedMessage } from '../message/message.ts';
import type { Events } from '../observe/events.ts';
import type { Explanation } from '../rule/explain.ts';
import type { Rule } from '../rule/rule.ts';
import type { SignIns } from '../sign-in.ts';
import type { pushKeys } from '../source/gmail/push.ts';
import type { Contact } from '../source/graph/contacts.ts';
import type { DiagnosisStep } from '../source/source.ts';
import type { Database } from '../store/database.ts';
import type { Destination } from '../store/destinations.ts';
import type { RawBytes } from '../store/intake.ts';
import type { Keyring } from '../store/keyring.ts';
import type { Mailbox } from '../store/mailboxes.ts';

/** A record that was committed and now waits for a worker. */
export interface QueuedEmail {
  id: number;
  mailboxId: number;
}

/** The bytes of messages. `RawStore` is one. */
export interface RawMessages {
  put(bytes: Buffer): Promise<RawBytes>;
  read(sha256: Buffer): Promise<Buffer>;
  open(sha256: Buffer): Promise<Readable>;
}

export interface OperationalAnswer {
  ok: boolean;
  /** Printed as JSON. */
  body: object;
}

export interface ApiServices {
  raw: RawMessages;
  /** Called after the commit. Never fails: what is not enqueued is swept up later. */
  enqueue(emails: QueuedEmail[]): Promise<void>;
  /** Parses a stored message where a hostile one can do no harm. Fails as processing would. */
  parse(message: { rawSha256: Buffer; size: number }): Promise<ParsedMessage>;
  /** Runs rules over a message and keeps every verdict, like `parse` out of harm's way. Changes nothing. */
  explain(rules: Rule[], bytes: Buffer, mailboxId: number): Promise<Explanation>;
  /**
   * Tries settings step by step against the real server. `signal` ends it. `rotated` is told of a refresh token that came in
   * place of the one in `secrets`, which may be void then.
   */
  diagnose(
    mailbox: Pick<Mailbox, 'id' | 'kind' | 'settings'>,
    secrets: LoginSecrets,
    signal: AbortSignal,
    rotated: (refreshToken: string) => void,
  ): Promise<DiagnosisStep[]>;
  /** Sends one mail by settings that may not be saved. Fails with what the server said. */
  sendTest(
    mailbox: Mailbox,
    secrets: LoginSecrets,
    mail: { to: { name: string; address: string }[]; subject: string; text: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** What stands around the number of a ticket in a subject. */
  subjectTags(): { subjectStartTag: string; subjectEndTag: string };
  /** Contacts of a Graph mailbox. Fails with `unsupported` for another kind, else with what Graph refused. */
  contacts(mailbox: Mailbox): Promise<Contact[]>;
  /** Signs people in for mailboxes. */
  signIns: Pick<SignIns, 'link' | 'begin' | 'finish' | 'exchange'>;
  /** Sends a destination something made for it. Fails with an error of ours when there is no answer. */
  testDestination(destination: Destination, messageId: string): Promise<Verdict>;
  live(): Promise<OperationalAnswer>;
  ready(): Promise<OperationalAnswer>;
  /** The metrics in Prometheus' text format. */
  metrics(): Promise<{ contentType: string; body: string }>;
}

/** Everything {@link buildApi} is given. */
export interface ApiContext {
  db: Database;
  keys: Keyring;
  events: Events;
  config: Pick<Config, 'server' | 'poller' | 'gmail' | 'destinations' | 'mail'>;
  version: string;
  services: ApiServices;
  /** Keys that pushes of Pub/Sub are signed with; Google's when not given. */
  pushKeys?: ReturnType<typeof pushKeys>;
  /** Lifetime of tokens; an hour when not given. */
  tokenSeconds?: number;
}
