/**
 * Sample mail to a service desk: varied, realistic, and the same for the same seed. `npm run demo` sends it, and
 * tests and benches may. What Penstock should make of each message with the rules of rules.ts is part of it.
 */
import * as alerts from './alerts.ts';
import * as attachments from './attachments.ts';
import * as automatic from './automatic.ts';
import * as broken from './broken.ts';
import * as charsets from './charsets.ts';
import * as notices from './notices.ts';
import type { Random } from './random.ts';
import * as replies from './replies.ts';
import * as requests from './requests.ts';
import { SAMPLE_KINDS, type Sample, type SampleKind, SampleWriter } from './sample.ts';

export type { Expectation, Sample, SampleKind } from './sample.ts';
export { SAMPLE_KINDS } from './sample.ts';

/** How many of each kind are in 200 messages. */
const SHARES: Readonly<Record<SampleKind, number>> = {
  plain: 28,
  'html-alternative': 16,
  'html-only': 10,
  attachment: 10,
  'inline-image': 5,
  'nested-message': 4,
  'same-names': 3,
  'large-attachment': 1,
  charset: 12,
  'encoded-subject': 5,
  'encoded-filename': 4,
  reply: 24,
  'same-subject': 2,
  'stranger-with-tag': 2,
  vip: 3,
  order: 10,
  invoice: 5,
  'backup-report': 4,
  'alert-problem': 10,
  'alert-recovery': 7,
  pager: 5,
  'on-call': 4,
  'service-status': 4,
  'supplier-update': 5,
  newsletter: 6,
  'mailing-list': 2,
  'auto-reply': 3,
  bounce: 2,
  'read-receipt': 1,
  broken: 2,
  'too-deep': 1,
};
const SHARES_OF = 200;
/** Kinds that open a conversation in which a person may answer. */
const CONVERSATIONS: ReadonlySet<SampleKind> = new Set([
  'plain',
  'html-alternative',
  'html-only',
  'attachment',
  'charset',
  'encoded-subject',
]);
/** Answers to answers go no deeper, so that a conversation stays one that people have. */
const MAX_CONVERSATION = 3;
/** What goes on coming in, one message at a time, when the first samples are done. */
const TRICKLE: readonly SampleKind[] = [
  'plain',
  'alert-problem',
  'html-alternative',
  'reply',
  'order',
  'alert-recovery',
  'newsletter',
  'attachment',
  'pager',
  'charset',
  'vip',
  'pager',
  'invoice',
];

const DEFAULT_START = new Date('2026-03-02T07:30:00Z');

/** A stream of samples that remembers what it wrote: conversations and problems that are open. */
export class SampleStream {
  readonly #writer: SampleWriter;
  #open: alerts.OpenProblem[] = [];
  readonly #usedKeys = new Set<string>();
  #trickled = 0;

  constructor(seed: number, start: Date = DEFAULT_START) {
    this.#writer = new SampleWriter(seed, start);
  }

  /** `count` samples in an order of chance, in which answers follow what they answer. Each kind is there. */
  take(count: number): Sample[] {
    const first = this.#writer.written.length;
    let waiting = shuffled(deck(count), this.#writer.random);
    while (waiting.length > 0) {
      // What has nothing to refer to yet waits for the next round.
      const postponed = waiting.filter((kind) => this.write(kind) === null);
      if (postponed.length === waiting.length) {
        for (const _ of postponed) this.write('plain');
        break;
      }
      waiting = postponed;
    }
    return this.#writer.written.slice(first);
  }

  /** The next single message, for a mailbox in which mail goes on arriving. */
  next(): Sample {
    const kind = TRICKLE[this.#trickled % TRICKLE.length] ?? 'plain';
    this.#trickled += 1;
    // One at a time there is no order to lose, so a check whose problem is over may fail again.
    this.#usedKeys.clear();
    for (const { key } of this.#open) this.#usedKeys.add(key);
    return this.write(kind) ?? requests.plain(this.#writer);
  }

  /** An answer that finds its ticket by the tag in its subject alone. */
  replyBySubjectTag(to: Sample, ticket: { id: number; startTag: string; endTag: string }): Sample {
    return replies.replyBySubjectTag(this.#writer, to, ticket);
  }

  /** A sample of a kind; null when it needs an earlier one and there is none. */
  write(kind: SampleKind): Sample | null {
    const writer = this.#writer;
    switch (kind) {
      case 'plain':
        return requests.plain(writer);
      case 'html-alternative':
        return requests.htmlAlternative(writer);
      case 'html-only':
        return requests.htmlOnly(writer);
      case 'vip':
        return requests.vip(writer);
      case 'stranger-with-tag':
        return requests.strangerWithTag(writer);
      case 'attachment':
        return attachments.attachment(writer);
      case 'inline-image':
        return attachments.inlineImage(writer);
      case 'nested-message':
        return attachments.nestedMessage(writer);
      case 'same-names':
        return attachments.sameNames(writer);
      case 'large-attachment':
        return attachments.largeAttachment(writer);
      case 'encoded-filename':
        return attachments.encodedFilename(writer);
      case 'invoice':
        return attachments.invoice(writer);
      case 'charset':
        return charsets.charset(writer);
      case 'encoded-subject':
        return charsets.encodedSubject(writer);
      case 'order':
        return notices.order(writer);
      case 'service-status':
        return notices.serviceStatus(writer);
      case 'supplier-update':
        return notices.supplierUpdate(writer, this.#lastSupplierUpdate());
      case 'newsletter':
        return notices.newsletter(writer);
      case 'mailing-list':
        return notices.mailingList(writer);
      case 'backup-report':
        return alerts.backupReport(writer);
      case 'alert-problem':
        return this.#problem();
      case 'alert-recovery':
        return this.#recovery('alert');
      case 'pager':
        return this.#recovery('pager') ?? this.#opened(alerts.pagerIncident(writer));
      case 'on-call':
        return this.#recovery('on-call') ?? this.#opened(alerts.onCallAlert(writer));
      case 'bounce':
        return automatic.bounce(writer);
      case 'broken':
        return broken.broken(writer);
      case 'too-deep':
        return broken.tooDeep(writer);
      default:
        return this.#answer(kind);
    }
  }

  #answer(kind: 'reply' | 'same-subject' | 'auto-reply' | 'read-receipt'): Sample | null {
    const writer = this.#writer;
    const { random, written } = writer;
    const open = written.filter(
      (sample) =>
        CONVERSATIONS.has(sample.kind) ||
        (sample.kind === 'reply' && sample.thread.length > 0 && depth(sample) < MAX_CONVERSATION),
    );
    if (open.length === 0) return null;
    const to = random.pick(open);
    if (kind === 'reply') return replies.reply(writer, to);
    if (kind === 'same-subject') return replies.sameSubject(writer, to);
    return kind === 'auto-reply' ? automatic.autoReply(writer, to) : automatic.readReceipt(writer, to);
  }

  #problem(): Sample {
    const { random } = this.#writer;
    const open = this.#open.filter(({ kind }) => kind === 'alert');
    if (open.length > 0 && random.chance(0.15)) {
      const problem = random.pick(open);
      // The recovery has to come after every mail about the problem, so it follows the latest.
      problem.sample = alerts.alertRepeated(this.#writer, problem);
      return problem.sample;
    }
    return this.#opened(alerts.alertProblem(this.#writer, this.#usedKeys));
  }

  #opened(problem: alerts.OpenProblem): Sample {
    this.#open.push(problem);
    this.#usedKeys.add(problem.key);
    return problem.sample;
  }

  #recovery(kind: alerts.OpenProblem['kind']): Sample | null {
    const problem = this.#open.find((candidate) => candidate.kind === kind);
    if (!problem) return null;
    this.#open = this.#open.filter((candidate) => candidate !== problem);
    return problem.writeRecovery(this.#writer, problem.sample);
  }

  /** Every second mail of the supplier goes on with the last case. */
  #lastSupplierUpdate(): Sample | null {
    const updates = this.#writer.written.filter(({ kind }) => kind === 'supplier-update');
    const last = updates.at(-1);
    return last && last.after === null ? last : null;
  }
}

/** The samples of a seed. */
export function sampleMessages(seed: number, count: number, start: Date = DEFAULT_START): Sample[] {
  return new SampleStream(seed, start).take(count);
}

/**
 * Splits samples into waves: whatever has to come after another one is in a later wave. Processing keeps no
 * order between messages that arrive together, as no mail system does.
 */
export function inWaves(samples: readonly Sample[]): Sample[][] {
  const waveOf = new Map<string, number>();
  const waves: Sample[][] = [];
  for (const sample of samples) {
    const wave = sample.after === null ? 0 : (waveOf.get(sample.after) ?? -1) + 1;
    waveOf.set(sample.name, wave);
    waves[wave] = [...(waves[wave] ?? []), sample];
  }
  return waves;
}

/** How many answers deep a conversation is; each of ours adds a mail of the desk and itself. */
function depth({ thread }: Sample): number {
  return (thread.length - 1) / 2;
}

/** The kinds of `count` samples: by their shares, each at least once; the first of them when there are fewer. */
function deck(count: number): SampleKind[] {
  if (count <= SAMPLE_KINDS.length) return SAMPLE_KINDS.slice(0, count);
  const kinds = SAMPLE_KINDS.flatMap((kind) =>
    Array<SampleKind>(Math.max(1, Math.floor((SHARES[kind] * count) / SHARES_OF))).fill(kind),
  );
  while (kinds.length < count) kinds.push('plain');
  // Rounding up the rare kinds of a small deck has made it too long: it loses some of its most frequent one.
  while (kinds.length > count) kinds.splice(mostFrequentIndex(kinds), 1);
  return kinds;
}

function mostFrequentIndex(kinds: readonly SampleKind[]): number {
  let best = 0;
  let bestCount = 0;
  for (const [index, kind] of kinds.entries()) {
    const count = kinds.filter((other) => other === kind).length;
    if (count > bestCount) {
      best = index;
      bestCount = count;
    }
  }
  return best;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return random.pickSome(items, items.length);
}
