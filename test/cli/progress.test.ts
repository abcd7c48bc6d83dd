import { describe, expect, it } from 'vitest';
import { duration, ProgressLine, type ProgressTarget, renderProgress } from '../../src/cli/progress.ts';

describe('renderProgress', () => {
  it.each([
    [
      { label: 'Import', done: 50, total: 200, elapsedMs: 5_000 },
      'Import [#######.......................]  25 %  50/200  10/s  15 s left',
    ],
    [
      { label: 'Import', done: 200, total: 200, elapsedMs: 12_340 },
      'Import [##############################] 100 %  200/200  16/s  12.3 s',
    ],
    [
      { label: 'Import', done: 0, total: 200, elapsedMs: 0 },
      'Import [..............................]   0 %  0/200  0/s  ? left',
    ],
    [{ label: 'Import', done: 7, total: null, elapsedMs: 2_000 }, 'Import 7  3.5/s'],
    [
      { label: 'Import', done: 0, total: 0, elapsedMs: 100 },
      'Import [##############################] 100 %  0/0  0/s  0.1 s',
    ],
  ])('%j', (state, expected) => {
    expect(renderProgress(state)).toBe(expected);
  });

  it('leaves the bar out where there is no room, and is never too wide', () => {
    const state = { label: 'Import', done: 50, total: 200, elapsedMs: 5_000 };
    expect(renderProgress(state, 45)).toBe('Import  25 %  50/200  10/s  15 s left');
    for (let columns = 10; columns < 120; columns += 1) {
      expect(renderProgress(state, columns).length).toBeLessThanOrEqual(columns);
    }
  });

  it('never passes its end, whatever comes in', () => {
    expect(renderProgress({ label: 'x', done: 300, total: 200, elapsedMs: 1_000 })).toContain(
      '100 %  300/200',
    );
  });
});

describe('duration', () => {
  it.each([
    [null, '?'],
    [0, '0 s'],
    [89, '89 s'],
    [90, '2 min'],
    [5_300, '88 min'],
    [7_500, '2 h 5 min'],
  ])('%s -> %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

describe('ProgressLine', () => {
  function onTarget(isTTY: boolean) {
    const written: string[] = [];
    const target: ProgressTarget = { isTTY, columns: 81, write: (text) => written.push(text) };
    const clock = { now: 0 };
    return { progress: new ProgressLine(target, () => clock.now), written, clock };
  }

  it('redraws one line on a terminal, at most ten times a second', () => {
    const { progress, written, clock } = onTarget(true);
    for (let done = 1; done <= 100; done += 1) {
      clock.now = done * 10;
      progress.update(done, 100, 'taken');
    }
    progress.end();
    expect(written.length).toBeLessThanOrEqual(12);
    expect(written.slice(0, -1).every((text) => text.startsWith('\r\u001b[2Ktaken ['))).toBe(true);
    expect(written.at(-2)).toContain('100/100');
    expect(written.at(-1)).toBe('\n');
  });

  it('prints plain lines elsewhere: at the start, each quarter, and the end', () => {
    const { progress, written, clock } = onTarget(false);
    for (let done = 1; done <= 100; done += 1) {
      clock.now = done * 10;
      progress.update(done, 100, 'taken');
    }
    progress.end();
    expect(written.map((text) => /(\d+)\/100/.exec(text)?.[1])).toEqual(['1', '26', '51', '76', '100']);
    expect(written.every((text) => text.endsWith('\n') && !text.includes('\u001b'))).toBe(true);
  });

  it('says that it still lives when it is slow', () => {
    const { progress, written, clock } = onTarget(false);
    for (let second = 0; second <= 20; second += 1) {
      clock.now = second * 1_000;
      progress.update(1, 100, 'taken');
    }
    expect(written).toHaveLength(5);
  });

  it('begins anew with a new label, with a clock of its own', () => {
    const { progress, written, clock } = onTarget(false);
    progress.update(50, null, 'taken');
    clock.now = 10_000;
    progress.update(0, 50, 'processed');
    clock.now = 11_000;
    progress.update(50, 50, 'processed');
    progress.end();
    progress.end();
    expect(written).toEqual([
      'taken 50  0/s\n',
      'processed [..............................]   0 %  0/50  0/s  ? left\n',
      'processed [##############################] 100 %  50/50  50/s  1.0 s\n',
    ]);
  });

  it('writes other lines above the bar', () => {
    const { progress, written } = onTarget(true);
    progress.update(1, 100, 'taken');
    progress.line('hello');
    expect(written.at(-1)).toBe(`\r\u001b[2Khello\n${written[0]?.slice('\r\u001b[2K'.length)}`);
  });

  it('says nothing when there was nothing', () => {
    const { progress, written } = onTarget(true);
    progress.end();
    expect(written).toEqual([]);
  });
});
