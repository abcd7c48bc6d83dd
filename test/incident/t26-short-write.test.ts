/** A disk that is full takes the beginning of what is written to it and calls that a success. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { tempFolder } from '../support/folder.ts';
import { startIntake, subjectsOf, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { startProgram } from '../support/process.ts';

/** Bytes that the disk takes of one file. */
const ROOM = 400 * 1024;
const FIRST = 200_000;
/** A message of this size with its line before it and the end of line after it. */
const inPack = (size: number): number => 64 + ` ${size}\n`.length + size + 1;
/** The size of a second message with which the pack is as long as the disk has room for. */
const SECOND = ROOM - inPack(FIRST) - inPack(0) - 5;

const BATCHES: readonly [string, number[], string][] = [
  ['a large message', [LIMITS.inlineRawBytes * 2], 'failed EFBIG'],
  ['a pack, in a message', [FIRST, FIRST, FIRST], 'failed EFBIG'],
  ['a pack, between two messages', [FIRST, SECOND, FIRST], 'failed EFBIG'],
  ['a pack, in the line before a message', [FIRST, SECOND - 10, FIRST], 'failed EFBIG'],
  ['a pack, before its last byte', [FIRST, SECOND + 1], 'failed EFBIG'],
  ['a pack for which there is just room', [FIRST, SECOND], 'stored'],
];

it('T26.1 what the disk took only in part is not stored, and leaves nothing behind', async () => {
  const folder = await tempFolder('short-write');
  const script = fileURLToPath(new URL('../support/short-write.ts', import.meta.url));
  const batches = JSON.stringify(BATCHES.map(([, sizes]) => sizes));
  const command = `ulimit -f ${ROOM / 512} && exec "${process.execPath}" "${script}" "${folder}" '${batches}'`;
  const program = startProgram('sh', ['-c', command]);
  await program.ended;
  const said = program.output.trimEnd().split('\n');
  expect(BATCHES.map(([what], index) => [what, said[index]])).toEqual(
    BATCHES.map(([what, , wanted]) => [what, wanted]),
  );
  const left = await readdir(join(folder, 'raw'), { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile())).toHaveLength(1);
});

it('T26.1 a disk that has no room for a pack: nothing is recorded, and all of it is taken when there is', async () => {
  const intake = await startIntake();
  const subjects = ['a', 'b', 'c'];
  for (const subject of subjects)
    intake.server.deliver(USER, 'INBOX', simpleMessage(subject, `${'x'.repeat(98)}\r\n`.repeat(1_000)));
  const { files } = intake.raw;
  const writePack = files.writePack.bind(files);
  files.writePack = async () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  for (let round = 0; round < LIMITS.fetchAttempts + 1; round += 1)
    await expect(intake.pass()).rejects.toThrow('no space left');
  expect(await intake.ledger()).toEqual([]);
  files.writePack = writePack;
  expect(await intake.pass()).toBe(subjects.length);
  expect(await subjectsOf(intake.db, new RawStore(intake.db, intake.dataDirectory))).toEqual(subjects);
  const places = await intake.db.selectFrom('raw_message').select('place').execute();
  expect(places).toEqual(subjects.map(() => ({ place: 'pack' })));
});
