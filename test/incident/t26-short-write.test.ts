/** A disk that is full takes the beginning of what is written to it and calls that a success. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { tempFolder } from '../support/folder.ts';
import { startProgram } from '../support/process.ts';

it('T26.1 a message that the disk took only in part is not stored, and leaves nothing behind', async () => {
  const folder = await tempFolder('short-write');
  const script = fileURLToPath(new URL('../support/short-write.ts', import.meta.url));
  const size = LIMITS.inlineRawBytes * 2;
  const blocks = Math.floor((size - 1_000) / 512);
  const command = `ulimit -f ${blocks} && exec "${process.execPath}" "${script}" "${folder}" ${size}`;
  const program = startProgram('sh', ['-c', command]);
  await program.ended;
  expect(program.output).toBe('failed EFBIG\n');
  expect((await readdir(join(folder, 'raw'))).sort()).toEqual(['packs', 'tmp']);
  for (const place of ['packs', 'tmp']) expect(await readdir(join(folder, 'raw', place))).toEqual([]);
});
