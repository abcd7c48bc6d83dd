/**
 * Deliveries to a webhook, signed as Standard Webhooks says: HMAC-SHA256 over id, time and body, once for each key, so
 * that a key can be changed while both are valid (specification, "Signature scheme" and "Webhook headers").
 */
import { createHmac, randomBytes } from 'node:crypto';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { OutcomeEvent } from './event.ts';

const PREFIX = 'whsec_';
const KEY_BYTES = { least: 24, most: 64 };

/** A new signing key as it is shown to people: base64 after `whsec_`. */
export function newSigningKey(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/** Reads the keys, the first of which is the newest. Fails with `validation_failed`, and never shows a key. */
export function readSigningKeys(text: string): string[] {
  const keys = text.split(/[\s,]+/).filter((key) => key !== '');
  if (keys.length === 0) throw fail('validation_failed', 'A webhook needs at least one signing key.');
  if (keys.length > LIMITS.signingKeys)
    throw fail('validation_failed', `A webhook has at most ${LIMITS.signingKeys} signing keys at a time.`);
  for (const [index, key] of keys.entries()) {
    const { length } = keyBytes(key);
    if (!/^whsec_[A-Za-z0-9+/]+=*$/.test(key) || length < KEY_BYTES.least || length > KEY_BYTES.most) {
      const shape = `whsec_ and ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes in base64`;
      throw fail('validation_failed', `Signing key ${index + 1} is no key: it must be ${shape}.`);
    }
  }
  return keys;
}

/** Headers and body of one attempt. `now` is the time of the attempt in milliseconds. */
export function webhookRequest(
  event: OutcomeEvent,
  id: string,
  keys: readonly string[],
  now: number,
): { headers: Record<string, string>; body: string } {
  const { type, timestamp, ...data } = event;
  const body = JSON.stringify({ type, timestamp, data });
  const seconds = Math.floor(now / 1000);
  const signatures = keys.map((key) => `v1,${sign(key, `${id}.${seconds}.${body}`)}`);
  return {
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': signatures.join(' '),
    },
    body,
  };
}

function sign(key: string, content: string): string {
  return createHmac('sha256', keyBytes(key)).update(content).digest('base64');
}

function keyBytes(key: string): Buffer {
  return Buffer.from(key.slice(PREFIX.length), 'base64');
}
