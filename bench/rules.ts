/**
 * What matching costs per message, against a loop over all rules in the same run. The ratio is the figure to
 * look at: both sides run on the same machine at the same time.
 *
 *   node bin/penstock.mjs --run bench/rules.ts
 */
import type { ParsedMessage } from '../src/message/message.ts';
import { blankRule } from '../src/rule/blank-rule.ts';
import { compileRules } from '../src/rule/compile.ts';
import { matchRules } from '../src/rule/match.ts';
import type { Rule } from '../src/rule/rule.ts';
import { buildView } from '../src/rule/view.ts';

/** A small generator with a fixed seed (xorshift), so that every run sees the same mail. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const random = generator(20_261_120);
const WORDS = Array.from({ length: 2_000 }, () => {
  const letters = 'etaoinshrdlucmfwypvbgk';
  return Array.from({ length: 2 + random(9) }, () => letters[random(letters.length)]).join('');
});
const word = () => WORDS[Math.min(random(WORDS.length), random(WORDS.length))]!;
const sentence = (words: number) => Array.from({ length: words }, word).join(' ');

function makeRule(id: number): Rule {
  const conditions: Partial<Rule> = [
    { subject: `${word()} ${word()} ${word()}` },
    { from: `${word()}@${word()}.example`, fromExact: true },
    { from: `@${word()}.${word()}.example`, subject: word() },
    { body: `${word()} ${word()} ${word()} ${word()}` },
    { to: `${word()}-${id}@`, body: word() },
    {
      patterns: [
        {
          field: 'text',
          pattern: `${word()}-${id}: \\w+`,
          flags: 'i',
          required: true,
          groups: [],
        },
      ],
    },
  ][id % 6]! as Partial<Rule>;
  return {
    ...blankRule(),
    id,
    name: `rule ${id}`,
    enabled: true,
    sequence: id % 100,
    matchCcAndBcc: id % 7 === 0,
    scanFullBody: id % 3 !== 0,
    ...conditions,
  };
}

function makeMessage(): ParsedMessage {
  const newestText = Array.from({ length: 5 + random(20) }, () => `${sentence(12)}.`).join('\r\n');
  const quoted = Array.from({ length: random(30) }, () => `> ${sentence(12)}`).join('\r\n');
  return {
    headers: [],
    from: [{ name: sentence(2), address: `${word()}@${word()}.example` }],
    sender: null,
    replyTo: [],
    to: [{ name: '', address: 'help@desk.example' }],
    cc: [{ name: '', address: `${word()}@${word()}.example` }],
    bcc: [],
    subject: sentence(7),
    messageId: null,
    inReplyTo: [],
    references: [],
    date: null,
    receivedAt: null,
    text: `${newestText}\r\n\r\n${quoted}`,
    textIsFromHtml: false,
    html: null,
    newestText,
    leaves: [],
    deliveryStatus: null,
    warnings: [],
  };
}

/**
 * The obvious way, done with care: each text is folded once a message, each condition once a rule set, patterns
 * run on the built-in engine.
 */
class NaiveRules {
  readonly #rules: {
    rule: Rule;
    from: string;
    to: string;
    subject: string;
    body: string;
    patterns: RegExp[];
  }[];

  constructor(rules: Rule[]) {
    this.#rules = [...rules]
      .sort((a, b) => b.sequence - a.sequence || (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
      .map((rule) => ({
        rule,
        from: rule.from.toLowerCase(),
        to: rule.to.toLowerCase(),
        subject: rule.subject.toLowerCase(),
        body: rule.body.toLowerCase(),
        patterns: rule.patterns.map(({ pattern, flags }) => new RegExp(pattern, flags)),
      }));
  }

  match(message: ParsedMessage): Rule | null {
    const fold = (text: string) => text.toLowerCase().replace(/\s+/g, ' ');
    const subject = fold(message.subject);
    const full = fold(message.text);
    const newest = fold(message.newestText);
    const list = (key: 'from' | 'to' | 'cc' | 'bcc') => message[key].map(({ address }) => fold(address));
    const copies = [...list('cc'), ...list('bcc')];
    const from = list('from');
    const to = list('to');
    const address = (all: string[], wanted: string, exact: boolean) =>
      all.some((one) => (exact ? one === wanted : one.includes(wanted)));
    for (const { rule, ...wanted } of this.#rules) {
      if (wanted.subject !== '' && !subject.includes(wanted.subject)) continue;
      const senders = rule.matchCcAndBcc ? [...from, ...copies] : from;
      if (wanted.from !== '' && !address(senders, wanted.from, rule.fromExact)) continue;
      const recipients = rule.matchCcAndBcc ? [...to, ...copies] : to;
      if (wanted.to !== '' && !address(recipients, wanted.to, rule.toExact)) continue;
      if (wanted.body !== '' && !(rule.scanFullBody ? full : newest).includes(wanted.body)) continue;
      if (
        !wanted.patterns.every((pattern) =>
          pattern.test(rule.scanFullBody ? message.text : message.newestText),
        )
      )
        continue;
      return rule;
    }
    return null;
  }
}

/** The best of five rounds, in microseconds a message: the one that other processes disturbed least. */
function cost(messages: ParsedMessage[], match: (message: ParsedMessage) => Rule | null): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = process.hrtime.bigint();
    for (const message of messages) match(message);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1000 / messages.length);
  }
  return best;
}

/** A message for each rule of the smallest set, so that some have a winner in every set. */
function messageFor(rule: Rule): ParsedMessage {
  const message = makeMessage();
  message.subject = `${message.subject} ${rule.subject}`;
  if (rule.fromExact || rule.from !== '')
    message.from = [{ name: '', address: rule.fromExact ? rule.from : `x${rule.from}` }];
  if (rule.to !== '') message.to = [{ name: '', address: `${rule.to}desk.example` }];
  const said = rule.patterns[0]?.pattern.replace('\\w+', 'x') ?? rule.body;
  message.newestText = `${message.newestText}\r\n${said}`;
  message.text = `${message.newestText}\r\n\r\n${message.text}`;
  return message;
}

const allRules = Array.from({ length: 10_000 }, (_, index) => makeRule(index + 1));
const messages = Array.from({ length: 300 }, (_, index) =>
  index % 3 === 0 ? messageFor(allRules[(index / 3) % 10]!) : makeMessage(),
);
const chars = messages.reduce((sum, { text }) => sum + text.length, 0) / messages.length;
console.log(`${messages.length} messages, ${Math.round(chars)} characters of text each on average`);
console.log('  rules   compile ms    matched   indexed us   loop us    loop/indexed');
for (const count of [10, 100, 1_000, 10_000]) {
  const rules = allRules.slice(0, count);
  const start = process.hrtime.bigint();
  const set = compileRules(rules, 1);
  const compileMs = Number(process.hrtime.bigint() - start) / 1e6;
  const naive = new NaiveRules(rules);
  let matched = 0;
  for (const message of messages) {
    const { rule } = matchRules(set, buildView(message), { mailboxId: 1 });
    if (rule !== naive.match(message)) throw new Error('the two ways of matching disagree');
    if (rule !== null) matched++;
  }
  const indexed = cost(messages, (message) => matchRules(set, buildView(message), { mailboxId: 1 }).rule);
  const loop = cost(messages, (message) => naive.match(message));
  console.log(
    [
      String(count).padStart(7),
      compileMs.toFixed(1).padStart(12),
      `${matched}/${messages.length}`.padStart(10),
      indexed.toFixed(1).padStart(12),
      loop.toFixed(1).padStart(9),
      (loop / indexed).toFixed(1).padStart(15),
    ].join(' '),
  );
}
