import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTnef } from '../../src/message/tnef.ts';
import {
  attribute,
  properties,
  property,
  rendering,
  THREE_FILES,
  title,
  tnef,
  unicode,
} from './tnef-bytes.ts';

const FILES = [
  { name: 'a long name with Ünïcode.pdf', contentType: 'Application/PDF', size: 1_000 },
  { name: 'Привет', contentType: null, size: 7 },
  { name: 'An embedded message', contentType: null, size: 100 },
];

describe('readTnef', () => {
  it('lists the files with name, type and size, over all that is between', () => {
    expect(readTnef(THREE_FILES, 100)).toEqual({ files: FILES, complete: true });
  });

  it('knows what is no TNEF', () => {
    expect(readTnef(Buffer.from('%PDF-1.7 and so on'), 100)).toBeNull();
    expect(readTnef(Buffer.alloc(0), 100)).toBeNull();
  });

  it('lists what there is when the container is cut off, with the announced size', () => {
    const cut = THREE_FILES.subarray(0, THREE_FILES.indexOf(Buffer.alloc(500)) + 100);
    expect(readTnef(cut, 100)).toEqual({
      files: [{ name: 'Привет', contentType: null, size: 1_000 }],
      complete: false,
    });
  });

  it('a property of an unknown type costs those after it, not the files after it', () => {
    const odd = tnef(
      rendering(),
      title(Buffer.from('A.TXT')),
      properties(property(0x77, 1, Buffer.alloc(4)), unicode(0x3707, 'never read')),
      rendering(),
      title(Buffer.from('B.TXT')),
    );
    expect(readTnef(odd, 100)?.files.map(({ name }) => name)).toEqual(['A.TXT', 'B.TXT']);
  });

  it('lists no more than it may', () => {
    const many = tnef(...Array.from({ length: 50 }, () => rendering()));
    expect(readTnef(many, 10)).toMatchObject({ files: { length: 10 }, complete: false });
  });

  it('any bytes yield a result, and no more files than their length allows', () => {
    const start = tnef();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const content = readTnef(Buffer.concat([start, bytes]), 1_000);
        expect(content!.files.length).toBeLessThanOrEqual(bytes.length / 11);
      }),
    );
  });

  it('any damage to a real container yields a result', () => {
    const spot = fc.tuple(fc.nat(THREE_FILES.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.array(spot, { minLength: 1, maxLength: 8 }),
        fc.nat(THREE_FILES.length),
        (spots, length) => {
          const damaged = Buffer.from(THREE_FILES);
          for (const [at, byte] of spots) damaged[at] = byte;
          const content = readTnef(damaged.subarray(0, length), 1_000);
          for (const file of content?.files ?? []) {
            expect(file.size).toBeGreaterThanOrEqual(0);
            expect(file.name?.isWellFormed() ?? true).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('counts of four thousand millions end with the bytes', () => {
    const huge = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    const values = tnef(rendering(), properties(property(0x1003, 1, huge, Buffer.alloc(1_000))));
    const count = tnef(rendering(), attribute(2, 0x00069005, Buffer.concat([huge, Buffer.alloc(1_000)])));
    expect(readTnef(values, 10)!.files).toHaveLength(1);
    expect(readTnef(count, 10)!.files).toHaveLength(1);
  });
});
