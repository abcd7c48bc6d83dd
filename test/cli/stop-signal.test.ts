import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/folder.ts';
import { type Running, startScript } from '../support/process.ts';

async function startStopping(): Promise<Running> {
  const script = join(await tempFolder(), 'stopping.ts');
  const helper = new URL('../../src/cli/stop-signal.ts', import.meta.url).href;
  await writeFile(
    script,
    `import { waitForStopSignal } from '${helper}';
    setInterval(() => {}, 1e6);
    const waiting = waitForStopSignal(() => { console.log('again'); process.exit(3); });
    console.log('up');
    console.log('stopping after ' + await waiting);`,
  );
  const program = startScript(script);
  await program.waitForLine(/^up$/);
  return program;
}

describe('a stop by signal', () => {
  it('is asked for once, though the press of Ctrl-C arrives from the terminal, npm and the launcher', async () => {
    const program = await startStopping();
    program.signal('SIGINT');
    program.signal('SIGINT');
    program.signal('SIGTERM');
    await program.waitForLine(/^stopping after SIG(INT|TERM)$/);
    await sleep(200);
    expect(program.hasEnded).toBe(false);
    expect(program.stdout.match(/stopping/g)).toHaveLength(1);
    expect(program.stdout).not.toContain('again');
  });

  it('is cut short by a second press', async () => {
    const program = await startStopping();
    program.signal('SIGINT');
    await program.waitForLine(/^stopping after SIGINT$/);
    await sleep(1_100);
    program.signal('SIGINT');
    expect(await program.ended).toEqual({ code: 3, signal: null });
    expect(program.stdout).toContain('again');
  });
});
