import { simpleParser } from 'mailparser';
import { describe, expect, it } from 'vitest';
import { SAMPLE_RULES } from '../../src/lab/samples/rules.ts';
import {
  inWaves,
  SAMPLE_KINDS,
  type Sample,
  SampleStream,
  sampleMessages,
} from '../../src/lab/samples/samples.ts';
import { LIMITS } from '../../src/limits.ts';

const SEED = 11;
const samples = sampleMessages(SEED, 200);

function ofKind(kind: Sample['kind']): Sample[] {
  return samples.filter((sample) => sample.kind === kind);
}

describe('sample messages', () => {
  it('are the same for the same seed, and others for another', () => {
    const again = sampleMessages(SEED, 200);
    expect(again.map(({ name, bytes }) => [name, bytes.toString('latin1')])).toEqual(
      samples.map(({ name, bytes }) => [name, bytes.toString('latin1')]),
    );
    const others = sampleMessages(SEED + 1, 200);
    expect(others.map(({ messageId }) => messageId)).not.toEqual(samples.map(({ messageId }) => messageId));
  });

  it.each([1, 31, 40, 100, 200, 500])('are as many as asked for (%i)', (count) => {
    expect(sampleMessages(SEED, count)).toHaveLength(count);
  });

  it.each([200, 60, 31])('are of every kind when there are %i', (count) => {
    const kinds = new Set(sampleMessages(3, count).map(({ kind }) => kind));
    // With one of each, some kinds may have nothing to refer to before the end.
    const missing = SAMPLE_KINDS.filter((kind) => !kinds.has(kind));
    expect(missing).toEqual([]);
  });

  it('have names, bytes and Message-IDs of their own', () => {
    const ids = samples.flatMap(({ messageId }) => messageId ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(195);
    expect(new Set(samples.map(({ name }) => name)).size).toBe(samples.length);
    expect(new Set(samples.map(({ bytes }) => bytes.toString('latin1'))).size).toBe(samples.length);
  });

  it('can all be read by mailparser, with the subject and the Message-ID that were meant', async () => {
    for (const sample of samples) {
      const parsed = await simpleParser(sample.bytes);
      expect(parsed.messageId ?? null, sample.name).toBe(sample.messageId && `<${sample.messageId}>`);
      expect(parsed.from?.value[0]?.address, sample.name).toBe(sample.from.address);
      if (sample.kind !== 'broken') expect(parsed.subject, sample.name).toBe(sample.subject);
      expect(`${parsed.text ?? ''}${parsed.html || ''}`.trim().length, sample.name).toBeGreaterThan(5);
    }
  });

  it('use CRLF line ends and no line above the limit of RFC 5322', () => {
    for (const { name, kind, bytes } of samples) {
      const lines = bytes.toString('latin1').split('\r\n');
      expect(Math.max(...lines.map(({ length }) => length)), name).toBeLessThanOrEqual(998);
      const bareLf = lines.some((line) => line.includes('\n'));
      // ISO-2022-JP and the like must not hide line ends in their bytes either.
      if (kind !== 'broken') expect(bareLf, name).toBe(false);
    }
  });

  it('decode to the text that was written, in every charset', async () => {
    const expected: Record<string, string> = {
      'iso-8859-1': 'Größe A4',
      'windows-1252': '1\u00a0200\u00a0€',
      'iso-2022-jp': '今朝からファイルサーバー',
      'koi8-r': 'Номер ошибки 1407',
      gb18030: '无法登录库存系统',
      'utf-8': '¡Gracias! 🫒',
    };
    const seen = new Set<string>();
    for (const sample of sampleMessages(5, 400).filter(({ kind }) => kind === 'charset')) {
      const charset = /charset=([\w-]+)/.exec(sample.bytes.toString('latin1'))?.[1] ?? '';
      seen.add(charset);
      expect((await simpleParser(sample.bytes)).text, sample.name).toContain(expected[charset]);
    }
    expect([...seen].sort()).toEqual(Object.keys(expected).sort());
  });

  it('answer earlier samples: References name them, and the subject is theirs', async () => {
    const replies = ofKind('reply');
    expect(replies.length).toBeGreaterThan(10);
    for (const reply of replies) {
      const parent = samples.find(({ name }) => name === reply.after);
      const parsed = await simpleParser(reply.bytes);
      expect(parsed.references, reply.name).toContain(`<${parent?.messageId}>`);
      expect(parsed.inReplyTo, reply.name).toBeTruthy();
      expect(reply.subject, reply.name).toContain(parent?.subject.replace(/^\w\w: /, ''));
      expect(reply.from.host).toBe(parent?.from.host);
    }
  });

  it('answer in several styles of quoting', () => {
    const all = ofKind('reply').map(({ bytes }) => bytes.toString('utf8'));
    const styles = [/^On .* at \d\d:\d\d/m, /^From: Harbour/m, /schrieb Harbour/, /Original Message/];
    const found = styles.filter((style) => all.some((text) => style.test(text)));
    expect(found.length).toBeGreaterThanOrEqual(3);
  });

  it('end each problem once, after every mail about it', () => {
    for (const kind of ['alert-recovery', 'pager', 'on-call'] as const) {
      const ends = ofKind(kind).filter(({ expect: { outcome } }) => outcome === 'alert_close');
      expect(ends.length, kind).toBeGreaterThan(0);
      const problems = ends.map(({ after }) => after);
      expect(new Set(problems).size).toBe(problems.length);
    }
  });

  it('open no alert key again while its problem is open', () => {
    const key = (sample: Sample) => /Alert-Key: \[(.*)\]/.exec(sample.bytes.toString())?.[1];
    const open = new Set<string | undefined>();
    for (const sample of [...ofKind('alert-problem'), ...ofKind('alert-recovery')].sort((a, b) =>
      a.name.localeCompare(b.name),
    )) {
      if (sample.expect.outcome === 'alert_open') {
        expect(open.has(key(sample)), sample.name).toBe(false);
        open.add(key(sample));
      } else expect(open.has(key(sample)), sample.name).toBe(true);
      if (sample.expect.outcome === 'alert_close') open.delete(key(sample));
    }
  });

  it('have one that is nested deeper than the limit, and one that is stored as a file', () => {
    const [deep] = ofKind('too-deep');
    expect(deep?.bytes.toString().match(/^Content-Type: multipart/gm)?.length).toBeGreaterThan(
      LIMITS.mimeDepth,
    );
    const [large] = ofKind('large-attachment');
    expect(large?.bytes.length).toBeGreaterThan(LIMITS.inlineRawBytes);
  });

  it('expect only rules that are there and switched on, and need each of them', () => {
    const named = new Set(samples.flatMap(({ expect: { rule } }) => rule ?? []));
    const enabled = SAMPLE_RULES.filter((rule) => rule.enabled).map(({ name }) => name);
    expect([...named].sort()).toEqual([...enabled].sort());
  });
});

describe('waves', () => {
  it('put every sample after the one it needs', () => {
    const waves = inWaves(samples);
    const delivered = new Set<string>();
    for (const wave of waves) {
      for (const { after, name } of wave) {
        if (after !== null) expect(delivered.has(after), name).toBe(true);
      }
      for (const { name } of wave) delivered.add(name);
    }
    expect(delivered.size).toBe(200);
    expect(waves.length).toBeLessThanOrEqual(6);
  });
});

describe('the stream after the first samples', () => {
  it('goes on with new messages that refer to what there is', () => {
    const stream = new SampleStream(SEED);
    stream.take(200);
    const more = Array.from({ length: 300 }, () => stream.next());
    const ids = [...samples, ...more].flatMap(({ messageId }) => messageId ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(more.map(({ kind }) => kind)).size).toBeGreaterThan(8);
    expect(more.filter(({ expect: { outcome } }) => outcome === 'alert_close').length).toBeGreaterThan(20);
  });

  it('starts on its own as well', () => {
    const stream = new SampleStream(SEED);
    expect(Array.from({ length: 20 }, () => stream.next())).toHaveLength(20);
  });

  it('writes an answer that names its ticket in the subject and nowhere else', async () => {
    const stream = new SampleStream(SEED);
    const [first] = stream.take(1);
    const tagged = stream.replyBySubjectTag(first!, { id: 42, startTag: '[ID:', endTag: ']' });
    const parsed = await simpleParser(tagged.bytes);
    expect(parsed.subject).toBe(`Re: ${first?.subject} [ID:42]`);
    expect(parsed.references).toBeUndefined();
    expect(parsed.from?.value[0]?.address).toBe(first?.from.address);
  });
});
