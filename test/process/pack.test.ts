import { describe, expect, it } from 'vitest';
import { packMessages } from '../../src/process/pack.ts';

describe('packMessages', () => {
  it('keeps every byte, order and file, and survives being handed over', () => {
    const messages = [
      { id: 1, raw: { inline: Buffer.from('first') } },
      { id: 2, raw: { file: '/raw/large' } },
      { id: 3, raw: { inline: Buffer.alloc(0) } },
      { id: 4, raw: { inline: Buffer.from([0, 255, 128]) } },
    ];
    const packed = packMessages(messages);
    const moved = structuredClone(packed.messages, { transfer: packed.transfer });
    expect(
      moved.map(({ id, raw }) => [id, 'inline' in raw ? Buffer.from(raw.inline).toString('hex') : raw.file]),
    ).toEqual([
      [1, Buffer.from('first').toString('hex')],
      [2, '/raw/large'],
      [3, ''],
      [4, '00ff80'],
    ]);
    // The original is untouched: the batch may have to be sent again.
    expect(messages[0]!.raw).toEqual({ inline: Buffer.from('first') });
  });
});
