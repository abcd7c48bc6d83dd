/**
 * Sends what waits. Rows are the truth: they are looked for every few seconds, and a notice only makes that sooner. Each
 * mail is claimed in a transaction, handed over after another, and its result is a third. What is found claimed by
 * nobody was left by a process that died: it is looked for on the server, where that can be asked, and else a person decides.
 */
import { asPenstockError, fail, type PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { Events } from '../observe/events.ts';
import type { OutgoingMail, Sent, Transport } from '../send/mail.ts';
import type { Database } from '../store/database.ts';
import { listMailboxes, type Mailbox } from '../store/mailboxes.ts';
import {
  attachmentsOf,
  claimAbandoned,
  claimOutgoing,
  dropOutgoingClaims,
  endPause,
  noteHandover,
  type OutgoingRow,
  pauseSending,
  renewOutgoing,
  saveDoubt,
  saveEnd,
  saveRetry,
  saveSent,
  sendingPauses,
} from '../store/outgoing.ts';
import { sendingOf } from '../store/sending-settings.ts';
import { afterSendFailure, retrySeconds } from './after-failure.ts';

export interface DispatcherOptions {
  db: Database;
  events: Events;
  instanceId: string;
  transportOf(mailbox: Mailbox): Promise<Transport>;
  times?: Partial<DispatchTimes>;
}

/** Tests have shorter ones. */
export interface DispatchTimes {
  everyMs: number;
  claimSeconds: number;
  /** A mail that is not sent by then is given up for this time. */
  sendMs: number;
  /** A mail is looked for on the server only so long after it was handed over: it may still be on its way there. */
  quietSeconds: number;
}

const TIMES: DispatchTimes = { everyMs: 5_000, claimSeconds: 120, sendMs: 600_000, quietSeconds: 660 };
const AT_ONCE = 20;
/** A server that cannot be asked for this long leaves the question to a person. */
const LOOK_FOR_SECONDS = 86_400;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #times: DispatchTimes;
  readonly #running = new Map<number, { row: OutgoingRow; work: Promise<void> }>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #renewal: NodeJS.Timeout | null = null;
  #turn: Promise<void> | null = null;
  #again = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), this.#times.everyMs);
    this.#renewal = setInterval(() => void this.#renew(), (this.#times.claimSeconds * 1000) / 3);
    this.wake();
  }

  /** Looks now for what is due. */
  wake(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#turn !== null) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#turn = this.#look()
      .catch((error: Error) =>
        this.#options.events.emit('engine.error', { engine: 'database', message: error.message }),
      )
      .finally(() => {
        this.#turn = null;
        if (this.#again) this.wake();
      });
  }

  /** Takes no more. What runs may end within `graceMs`; the rest is left as if this process had died. */
  async stop(graceMs: number): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#renewal !== null) clearInterval(this.#renewal);
    const late = setTimeout(() => this.#stop.abort(fail('stopping', 'Penstock stops')), graceMs);
    this.#again = false;
    await this.#turn;
    await Promise.all([...this.#running.values()].map(({ work }) => work));
    clearTimeout(late);
    this.#stop.abort(fail('stopping', 'Penstock stops'));
  }

  async #look(): Promise<void> {
    const { db } = this.#options;
    const { claimSeconds } = this.#times;
    const mailboxes = new Map((await listMailboxes(db, { removed: true })).map((one) => [one.id, one]));
    const room = AT_ONCE - this.#running.size;
    if (room <= 0) return;
    for (const row of await claimAbandoned(db, claimSeconds, room)) {
      this.#run(row, () => this.#resolve(row, mailboxes.get(row.mailbox_id)!));
    }
    const ofMailbox = new Map(
      [...mailboxes.values()].map((one) => [one.id, sendingOf(one) ?? { concurrency: 1, perMinute: 30 }]),
    );
    const most = AT_ONCE - this.#running.size;
    for (const row of await claimOutgoing(db, { most, ofMailbox, claimSeconds })) {
      crashPoint('after-outgoing-claim');
      this.#run(row, () => this.#send(row, mailboxes.get(row.mailbox_id)!));
    }
  }

  #run(row: OutgoingRow, work: () => Promise<void>): void {
    const running = work()
      // The database is away: the claim runs out, and then it is known how far this went.
      .catch((error: Error) =>
        this.#options.events.emit('engine.error', { engine: 'database', message: error.message }),
      )
      .finally(() => {
        this.#running.delete(row.id);
        this.wake();
      });
    this.#running.set(row.id, { row, work: running });
  }

  async #renew(): Promise<void> {
    const claims = [...this.#running.values()].map(({ row }) => row);
    if (claims.length === 0) return;
    await renewOutgoing(this.#options.db, claims, this.#times.claimSeconds).catch(() => undefined);
  }

  async #send(row: OutgoingRow, mailbox: Mailbox): Promise<void> {
    const { db } = this.#options;
    const started = performance.now();
    let handedOver = false;
    let sent: Sent;
    try {
      const mail = await this.#mailOf(row);
      const transport = await this.#options.transportOf(mailbox);
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#times.sendMs)]);
      const handover = async (): Promise<void> => {
        signal.throwIfAborted();
        if (!(await noteHandover(db, row))) {
          throw fail('lease_lost', 'Another process has taken over this mail', { answered: true });
        }
        handedOver = true;
        crashPoint('after-handover');
      };
      sent = await transport.send(mail, handover, signal);
      crashPoint('after-send');
    } catch (thrown) {
      await this.#failed(row, mailbox, asSendError(thrown), handedOver);
      return;
    }
    await this.#sent(row, sent, (performance.now() - started) / 1000);
  }

  async #mailOf(row: OutgoingRow): Promise<OutgoingMail> {
    return {
      messageId: row.message_id,
      date: row.created_at,
      from: row.sender,
      recipients: row.recipients,
      subject: row.subject,
      text: row.text,
      html: row.html,
      inReplyTo: row.in_reply_to,
      attachments: await attachmentsOf(this.#options.db, row.email_store_id),
      automatic: row.automatic_to === null ? null : row.kind === 'stored' ? 'auto-generated' : 'auto-replied',
      instanceId: this.#options.instanceId,
      delivered: [...row.delivered, ...row.refused.map(({ address }) => address)],
    };
  }

  /** The server has answered: for all recipients, or for some of them. */
  async #sent(
    row: OutgoingRow,
    { accepted, refused, providerId, messageId }: Sent,
    seconds: number,
  ): Promise<void> {
    const { db, events } = this.#options;
    const later = refused.filter(({ temporary }) => temporary);
    const never = refused
      .filter(({ temporary }) => !temporary)
      .map(({ address, message }) => ({ address, message }));
    const about = { mailbox: row.mailbox_id, id: row.id };
    if (await endPause(db, row.mailbox_id)) events.emit('sending.resumed', { mailbox: row.mailbox_id });
    const delivered = [...row.delivered, ...accepted];
    if (later.length > 0) {
      const message = `Not taken now for ${later.map((one) => `${one.address} (${one.message})`).join(', ')}`;
      const trouble = { code: 'send_deferred' as const, message };
      if (ageOf(row) > LIMITS.outgoingDays * 86_400) {
        await saveEnd(db, row, 'failed', { code: 'send_gave_up', message }, never);
        events.emit('outgoing.failed', { ...about, code: 'send_gave_up', message });
        return;
      }
      const wait = retrySeconds(row.attempts, Math.random());
      await saveRetry(db, row, trouble, { seconds: wait, counts: true, delivered: accepted, refused: never });
      events.emit('outgoing.retrying', {
        ...about,
        ...trouble,
        attempts: row.attempts,
        retryInSeconds: wait,
      });
      return;
    }
    const allNever = [...row.refused, ...never];
    if (delivered.length === 0) {
      const message = allNever.map((one) => `${one.address}: ${one.message}`).join('; ');
      await saveEnd(db, row, 'failed', { code: 'send_refused', message }, never);
      events.emit('outgoing.failed', { ...about, code: 'send_refused', message });
      return;
    }
    if (await saveSent(db, row, { delivered, refused: allNever, providerId, messageId })) {
      events.emit('outgoing.sent', { ...about, kind: row.kind, seconds, waitedSeconds: ageOf(row) });
    }
  }

  async #failed(
    row: OutgoingRow,
    mailbox: Mailbox,
    error: PenstockError,
    handedOver: boolean,
  ): Promise<void> {
    const { db, events } = this.#options;
    if (this.#stop.signal.aborted && !handedOver) return await dropOutgoingClaims(db, [row]);
    const pause = await sendingPauses(db, row.mailbox_id);
    const { code, message } = error;
    const about = { mailbox: row.mailbox_id, id: row.id, code, message };
    const attempt = {
      handedOver,
      attempts: row.attempts,
      ageSeconds: ageOf(row),
      mailboxErrors: pause?.errors ?? 0,
    };
    const next = afterSendFailure(error, attempt, Math.random());
    switch (next.kind) {
      case 'doubt':
        await this.#doubt(row, mailbox, error);
        return;
      case 'pause':
        await pauseSending(db, row.mailbox_id, { code, message }, next.seconds);
        await saveRetry(db, row, { code, message }, { seconds: 0, counts: false });
        events.emit('sending.paused', { mailbox: row.mailbox_id, code, message, seconds: next.seconds });
        return;
      case 'retry':
        await saveRetry(db, row, { code, message }, { seconds: next.seconds, counts: true });
        events.emit('outgoing.retrying', { ...about, attempts: row.attempts, retryInSeconds: next.seconds });
        return;
      case 'fail':
        await saveEnd(db, row, 'failed', { code: next.code, message });
        events.emit('outgoing.failed', { ...about, code: next.code });
    }
  }

  /** It may have been sent: never again before that is known. */
  async #doubt(row: OutgoingRow, mailbox: Mailbox, error: PenstockError): Promise<void> {
    const { db } = this.#options;
    const canLook = await this.#options.transportOf(mailbox).then(
      (transport) => transport.canLook,
      () => false,
    );
    const message = `Handed over to the server, but its answer did not come (${error.message})`;
    if (canLook) await saveDoubt(db, row, { code: 'send_in_doubt', message }, this.#times.quietSeconds);
    else await this.#leaveToPerson(row, message);
  }

  async #leaveToPerson(row: OutgoingRow, message: string): Promise<void> {
    const { db, events } = this.#options;
    if (!(await saveEnd(db, row, 'in_doubt', { code: 'send_in_doubt', message }))) return;
    events.emit('outgoing.in_doubt', { mailbox: row.mailbox_id, id: row.id, message });
  }

  /** Finds out what became of a mail whose sender is gone. */
  async #resolve(row: OutgoingRow, mailbox: Mailbox): Promise<void> {
    const { db, events } = this.#options;
    const { handover_at: handover } = row;
    if (handover === null) {
      const trouble = { code: 'internal', message: 'The process that was about to send it ended.' };
      if (ageOf(row) > LIMITS.outgoingDays * 86_400) {
        await saveEnd(db, row, 'failed', { code: 'send_gave_up', message: trouble.message });
        return;
      }
      const seconds = row.attempts > 1 ? retrySeconds(row.attempts, Math.random()) : 0;
      await saveRetry(db, row, trouble, { seconds, counts: true });
      return;
    }
    const since = (Date.now() - handover.getTime()) / 1000;
    try {
      const transport = await this.#options.transportOf(mailbox);
      if (!transport.canLook) {
        await this.#leaveToPerson(row, 'Penstock ended while the mail was handed over to the server.');
        return;
      }
      if (since < this.#times.quietSeconds) {
        const message = 'Handed over to the server; whether it was sent is looked up there.';
        await saveDoubt(db, row, { code: 'send_in_doubt', message }, this.#times.quietSeconds - since);
        return;
      }
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#times.sendMs)]);
      const found = await transport.find(await this.#mailOf(row), handover, signal);
      if (found !== null) {
        await this.#sent(row, found, since);
        return;
      }
      const message = 'It was handed over, and the server has not sent it.';
      const wait = row.attempts > 1 ? retrySeconds(row.attempts, Math.random()) : 0;
      await saveRetry(db, row, { code: 'send_deferred', message }, { seconds: wait, counts: true });
      events.emit('outgoing.retrying', {
        mailbox: row.mailbox_id,
        id: row.id,
        code: 'send_deferred',
        message,
        attempts: row.attempts,
        retryInSeconds: wait,
      });
    } catch (thrown) {
      const { message } = asPenstockError(thrown);
      if (since > LOOK_FOR_SECONDS) await this.#leaveToPerson(row, `The server cannot be asked: ${message}`);
      else await saveDoubt(db, row, { code: 'send_in_doubt', message }, this.#times.quietSeconds);
    }
  }
}

const ageOf = (row: OutgoingRow): number => Math.max(0, (Date.now() - row.created_at.getTime()) / 1000);

/** Whatever ended a send as an error of ours: our own deadline is one too. */
function asSendError(thrown: unknown): PenstockError {
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError') {
    return fail('stalled', 'The mail could not be sent in time', {}, thrown);
  }
  return asPenstockError(thrown, 'connection_lost');
}
