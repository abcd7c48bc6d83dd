import type { MessageClass } from '../../message/message.ts';
import { composeMessage, type Entity, type HeaderLine, headerText, mailDate } from './compose.ts';
import { DESK, type Person } from './people.ts';
import { Random } from './random.ts';

export const SAMPLE_KINDS = [
  'plain',
  'html-alternative',
  'html-only',
  'attachment',
  'inline-image',
  'nested-message',
  'same-names',
  'large-attachment',
  'charset',
  'encoded-subject',
  'encoded-filename',
  'reply',
  'same-subject',
  'stranger-with-tag',
  'vip',
  'order',
  'invoice',
  'backup-report',
  'alert-problem',
  'alert-recovery',
  'pager',
  'on-call',
  'service-status',
  'supplier-update',
  'newsletter',
  'mailing-list',
  'auto-reply',
  'bounce',
  'read-receipt',
  'broken',
  'too-deep',
] as const;
export type SampleKind = (typeof SAMPLE_KINDS)[number];

/** What Penstock should make of a sample with the rules of rules.ts. */
export interface Expectation {
  outcome:
    | 'create'
    | 'update'
    | 'alert_open'
    | 'alert_update'
    | 'alert_close'
    | 'service_status'
    | 'ignore'
    | 'quarantine';
  /** Null when nothing can be said, as for mail that no parser may read. */
  class: MessageClass | null;
  /** Name of the rule that decides; null = none. */
  rule: string | null;
}

export interface Sample {
  /** Unique: serial number and kind. */
  name: string;
  kind: SampleKind;
  bytes: Buffer;
  from: Person;
  subject: string;
  /** Without angle brackets; null for a message that has none. */
  messageId: string | null;
  /** Its ancestors and itself, oldest first: what an answer to it has in References. */
  thread: readonly string[];
  date: Date;
  /** Name of the sample that has to be processed before this one, because this one answers or ends it. */
  after: string | null;
  expect: Expectation;
}

/** What a maker of samples decides; the rest of a message is the same for all. */
export interface Draft {
  kind: SampleKind;
  from: Person;
  subject: string;
  entity: Entity;
  expect: Expectation;
  /** Sets In-Reply-To and References, and the order. */
  answers?: Sample;
  /** Has to come after this one, without answering it. */
  follows?: Sample;
  to?: string;
  /** Header fields besides the usual ones. */
  headers?: readonly HeaderLine[];
  /** The subject as it travels, when it is not simply encoded. */
  subjectHeader?: string;
}

/** Minutes between samples, so that the dates look like a working day. */
const PACE_MINUTES = 3;

/** Writes samples one after the other, and remembers them for those that refer to earlier ones. */
export class SampleWriter {
  readonly random: Random;
  readonly written: Sample[];
  readonly #seed: number;
  #time: number;

  /** `start` is the date of the first sample; `written` the samples that later ones may refer to. */
  constructor(seed: number, start: Date, written: readonly Sample[] = []) {
    this.#seed = seed;
    this.random = new Random(seed + written.length);
    this.written = [...written];
    this.#time = start.getTime();
  }

  /** The date of the next sample. */
  get date(): Date {
    return new Date(this.#time);
  }

  write(draft: Draft): Sample {
    const { answers, from } = draft;
    const offset = from.utcOffsetMinutes;
    const messageId = `${draft.kind}.${this.#seed}.${this.#serial}.${this.random.hex(8)}@${from.host}`;
    const headers: HeaderLine[] = [
      ['Received', this.#received(from)],
      ['Date', mailDate(this.date, offset)],
      ['From', `${headerText(from.name)} <${from.address}>`],
      ['To', draft.to ?? `${DESK.name} <${DESK.address}>`],
      ['Subject', draft.subjectHeader ?? headerText(draft.subject)],
      ['Message-ID', `<${messageId}>`],
    ];
    if (answers) headers.push(...threadHeaders(answers));
    headers.push(...(draft.headers ?? []));
    return this.add({
      ...draft,
      bytes: composeMessage(headers, draft.entity),
      messageId,
      thread: [...(answers?.thread ?? []), messageId],
    });
  }

  /** Adds a message that was composed by hand. */
  add(
    message: Pick<Sample, 'kind' | 'bytes' | 'from' | 'subject' | 'messageId' | 'thread' | 'expect'> &
      Pick<Draft, 'answers' | 'follows'>,
  ): Sample {
    const { kind, bytes, from, subject, messageId, thread, expect } = message;
    const sample: Sample = {
      name: `${String(this.#serial).padStart(4, '0')}-${kind}`,
      kind,
      bytes,
      from,
      subject,
      messageId,
      thread,
      expect,
      date: this.date,
      after: (message.answers ?? message.follows)?.name ?? null,
    };
    this.written.push(sample);
    this.#time += PACE_MINUTES * 60_000;
    return sample;
  }

  get #serial(): number {
    return this.written.length + 1;
  }

  #received(from: Person): string {
    const { random } = this;
    const when = mailDate(new Date(this.#time + 2_000));
    return (
      `from mail.${from.host} (mail.${from.host} [192.0.2.${random.between(2, 250)}])\r\n` +
      `\tby mx.${DESK.host} with ESMTPS id ${random.hex(12)};\r\n\t${when}`
    );
  }
}

function threadHeaders(answers: Sample): HeaderLine[] {
  const last = answers.thread.at(-1);
  if (last === undefined) return [];
  return [
    ['In-Reply-To', `<${last}>`],
    ['References', answers.thread.map((id) => `<${id}>`).join('\r\n ')],
  ];
}
