import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import { classify } from '../../src/message/classify.ts';
import type { Classification, ParsedMessage } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { isStorableText } from '../../src/message/storable.ts';
import { countLeaves } from '../message/mail.ts';

/** Real mail that is not part of the project; its README says what it is. */
const CORPUS = process.env.PENSTOCK_CORPUS ?? join(import.meta.dirname, '../../../shared/corpus');
const CONTEXT = { ownAddresses: [], instanceId: 'penstock-corpus' };

/** Files of the bounce collection that are no bounce messages: reports, answers, forwards, web hooks, list mail. */
const NO_BOUNCE =
  /arf-|rfc3834|\.json\.eml$|_not_|mailbox_size|amazonses-(?:09|1[0-3])|sendmail-14|make-test-36|mbox-0\.0035/;
/** Measured: 834 of 836. The two are complaints of a list program about a sender (fml). */
const BOUNCE_RATE = 0.99;

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('LICENSES') && name !== 'README.md')
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

function* strings(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  if (typeof value !== 'object' || value === null) return;
  for (const entry of Object.values(value)) yield* strings(entry);
}

interface Outcome {
  path: string;
  message: ParsedMessage | null;
  classification: Classification | null;
}

async function read(path: string): Promise<Outcome> {
  try {
    const message = await parseMessage(readFileSync(path));
    return { path, message, classification: classify(message, CONTEXT) };
  } catch (error) {
    // The one thing that a message may be refused for.
    expect(error, path).toBeInstanceOf(PenstockError);
    expect((error as PenstockError).code, path).toBe('mime_limit');
    return { path, message: null, classification: null };
  }
}

if (existsSync(CORPUS)) {
  describe('corpus', async () => {
    const outcomes: Outcome[] = [];
    for (const path of filesOf(CORPUS)) outcomes.push(await read(path));
    const messages = outcomes.filter((outcome) => outcome.message !== null);

    it('is there and is parsed, nothing else thrown than a limit', () => {
      expect(outcomes.length).toBeGreaterThan(1_000);
      expect(messages.length).toBe(outcomes.length);
    });

    it('T16.1 accounts for every leaf', () => {
      for (const { path, message } of messages) {
        const { all, accounted } = countLeaves(message!);
        expect(all, path).toBeGreaterThan(0);
        expect(accounted, path).toBe(all);
        expect(new Set(message!.leaves.map((leaf) => leaf.part)).size, path).toBe(all);
      }
    });

    it('T16.1 lists the files that Outlook wrapped', () => {
      const wrapped = messages.flatMap(({ message }) =>
        message!.leaves.filter(({ reason }) => reason?.startsWith('Inside part')),
      );
      const kitten = { filename: 'kitten-playing-with-a-christmas-tree.jpg', size: 375_081 };
      expect(wrapped).toContainEqual(expect.objectContaining(kitten));
    });

    it('T16.1 loses no body', () => {
      for (const { path, message } of messages) {
        const has = message!.leaves.some((leaf) => leaf.use === 'body' && leaf.size > 10);
        if (has) expect(message!.text.length + (message!.html?.length ?? 0), path).toBeGreaterThan(0);
      }
    });

    it('T15.2 holds only text that the database takes', () => {
      for (const { path, message, classification } of messages) {
        for (const text of strings({ message, classification }))
          expect(isStorableText(text), path).toBe(true);
      }
    });

    it('T16.3 has only unique and harmless file names', () => {
      for (const { path, message } of messages) {
        const names = message!.leaves.flatMap((leaf) => (leaf.filename === null ? [] : [leaf.filename]));
        expect(new Set(names.map((name) => name.toLowerCase())).size, path).toBe(names.length);
        for (const name of names) expect(name, path).not.toMatch(/[/\\\p{Cc}\u202e]|^\.|^$/u);
      }
    });

    it('T25.1 has only dates that the database takes', () => {
      for (const { path, message } of messages) {
        for (const date of [message!.date, message!.receivedAt]) {
          if (date !== null) expect(new Date(date).toISOString(), path).toBe(date);
        }
      }
    });

    it('T6.1 knows bounces as bounces', () => {
      const bounces = messages.filter(({ path }) => path.includes('sisimai') && !NO_BOUNCE.test(path));
      const known = bounces.filter(({ classification }) => classification!.class === 'bounce');
      console.log(`corpus: ${known.length} of ${bounces.length} bounces known as such`);
      expect(bounces.length).toBeGreaterThan(800);
      expect(known.length / bounces.length).toBeGreaterThanOrEqual(BOUNCE_RATE);
    });

    it('T6.1 knows what is no bounce', () => {
      const others = messages.filter(({ path }) => /_not_is-not-bounce|rfc3834|talon|arf-/.test(path));
      expect(others.length).toBeGreaterThan(30);
      for (const { path, classification } of others) expect(classification!.class, path).not.toBe('bounce');
    });

    it('cuts the chain of the standard replies', () => {
      const replies = messages.filter(({ path }) => path.includes('mailgun_talon'));
      for (const { path, message } of replies) expect(message!.newestText, path).toMatch(/^Hello/);
      for (const { path, message } of replies) expect(message!.newestText.length, path).toBeLessThan(90);
    });
  });
} else {
  describe('corpus', () => {
    it(`is not at ${CORPUS}: the project's own tests do without it`, () => {
      expect(existsSync(CORPUS)).toBe(false);
    });
  });
}
