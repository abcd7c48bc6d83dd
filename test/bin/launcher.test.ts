import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/folder.ts';
import { type Running, startProgram } from '../support/process.ts';

const bin = fileURLToPath(new URL('../../bin/', import.meta.url));
const runtime = await import(new URL('../../bin/runtime.mjs', import.meta.url).href);

const LOCK = {
  '': { version: '0.1.0' },
  'node_modules/needed': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/tool': { version: '2.0.0', integrity: 'sha512-b', dev: true },
  'node_modules/elsewhere': { version: '3.0.0', integrity: 'sha512-c', optional: true },
};
const INSTALLED = {
  'node_modules/needed': LOCK['node_modules/needed'],
  'node_modules/tool': LOCK['node_modules/tool'],
};

/** A clone with our bin/, one program, and an npm that only writes down how it was called. */
async function makeClone(options: { installed?: object; cli?: string } = {}): Promise<string> {
  const clone = await tempFolder('clone');
  await cp(bin, join(clone, 'bin'), { recursive: true });
  await write(join(clone, 'package.json'), '{"type":"module"}');
  await write(join(clone, 'package-lock.json'), JSON.stringify({ packages: LOCK }));
  await write(
    join(clone, 'src/cli.ts'),
    options.cli ?? 'console.log("ran " + process.argv.slice(2).join(" ") as string);',
  );
  if (options.installed) {
    await write(
      join(clone, 'node_modules/.package-lock.json'),
      JSON.stringify({ packages: options.installed }),
    );
  }
  await write(join(clone, 'fake/npm'), '#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\nexit $NPM_EXIT\n');
  await chmod(join(clone, 'fake/npm'), 0o755);
  return clone;
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

function launch(clone: string, args: string[], env: Record<string, string> = {}): Running {
  const PATH = `${join(clone, 'fake')}:${process.env.PATH}`;
  return startProgram(process.execPath, [join(clone, 'bin/penstock.mjs'), ...args], {
    cwd: clone,
    env: { PATH, npm_execpath: '', ...env },
  });
}

const npmCalls = (clone: string) => readFile(join(clone, 'fake/calls'), 'utf8').catch(() => '');

describe('bin/penstock.mjs', () => {
  it('runs the command line with its arguments, and npm only when something is missing', async () => {
    const clone = await makeClone({ installed: INSTALLED });
    const program = launch(clone, ['start', '--port', '1']);
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stdout).toBe('ran start --port 1\n');
    expect(program.stderr).toBe('');
    expect(await npmCalls(clone)).toBe('');
  });

  it.each([
    ['nothing is installed', undefined],
    ['another version is installed', { 'node_modules/needed': { version: '0.9.0', integrity: 'sha512-a' } }],
    ['other bytes are installed', { 'node_modules/needed': { version: '1.0.0', integrity: 'sha512-z' } }],
    ['a package is missing', { 'node_modules/tool': LOCK['node_modules/tool'] }],
  ])('runs npm ci, with one line on standard error, when %s', async (_what, installed) => {
    const clone = await makeClone({ installed });
    const program = launch(clone, ['x']);
    await program.ended;
    expect(program.stdout).toBe('ran x\n');
    expect(program.stderr).toMatch(/^penstock: installing dependencies[^\n]*\n$/);
    expect(await npmCalls(clone)).toBe('ci --no-audit --no-fund --loglevel=error\n');
  });

  it('does not miss packages for development or for other machines', async () => {
    const clone = await makeClone({ installed: { 'node_modules/needed': LOCK['node_modules/needed'] } });
    await launch(clone, []).ended;
    expect(await npmCalls(clone)).toBe('');
  });

  it('stops with a line when npm fails', async () => {
    const clone = await makeClone();
    const program = launch(clone, [], { NPM_EXIT: '7' });
    expect((await program.ended).code).toBe(1);
    expect(program.stderr).toContain('npm ci failed');
  });

  it('runs another script with --run, and says so when none is named', async () => {
    const clone = await makeClone({ installed: INSTALLED });
    await write(join(clone, 'bench/other.ts'), 'console.log("other", process.argv.length, process.argv[2]);');
    const program = launch(clone, ['--run', 'bench/other.ts', 'word']);
    await program.ended;
    expect(program.stdout).toBe('other 3 word\n');
    const wrong = launch(clone, ['--run']);
    expect((await wrong.ended).code).toBe(1);
    expect(wrong.stderr).toContain('--run needs a file');
  });

  it('runs dist/cli.js, and never npm, where there is no source', async () => {
    const clone = await makeClone();
    await cp(join(clone, 'bin'), join(clone, 'app/bin'), { recursive: true });
    await write(join(clone, 'app/package.json'), '{"type":"module"}');
    await write(join(clone, 'app/dist/cli.js'), 'console.log("built", process.argv[2]);');
    const program = launch(join(clone, 'app'), ['start'], {
      PATH: `${join(clone, 'fake')}:${process.env.PATH}`,
    });
    await program.ended;
    expect(program.stdout).toBe('built start\n');
    expect(await npmCalls(clone)).toBe('');
  });

  it('puts its Node first in PATH', async () => {
    const clone = await makeClone({
      installed: INSTALLED,
      cli: 'console.log(process.env.PATH!.split(":")[0]);',
    });
    const program = launch(clone, []);
    await program.ended;
    expect(program.stdout.trim()).toBe(dirname(process.execPath));
  });
});

describe('bin/copy-assets.mjs', () => {
  it('brings to dist/ what the compiler leaves behind', async () => {
    const clone = await makeClone();
    await write(join(clone, 'src/store/migrations/0001_first.sql'), 'select 1;');
    const program = startProgram(process.execPath, [join(clone, 'bin/copy-assets.mjs')]);
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(await readFile(join(clone, 'dist/store/migrations/0001_first.sql'), 'utf8')).toBe('select 1;');
    expect(existsSync(join(clone, 'dist/cli.ts'))).toBe(false);
  });
});

describe('the shadow of a child', () => {
  /** The launcher as it works under an old Node. */
  async function shadow(code: string): Promise<Running> {
    const folder = await tempFolder('shadow');
    const child = join(folder, 'child.mjs');
    const parent = join(folder, 'parent.mjs');
    await write(child, code);
    const helpers = new URL('../../bin/runtime.mjs', import.meta.url).href;
    await write(
      parent,
      `import { runShadowed } from '${helpers}';\nrunShadowed(process.execPath, ['${child}']);`,
    );
    return startProgram(process.execPath, [parent]);
  }

  it('ends with its exit code', async () => {
    const program = await shadow(
      'process.exitCode = 42; console.log("done", process.env.PENSTOCK_LAUNCHER_FD);',
    );
    expect(await program.ended).toEqual({ code: 42, signal: null });
    expect(program.stdout).toBe('done undefined\n');
  });

  it('ends by its signal', async () => {
    const program = await shadow('process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1e6);');
    expect((await program.ended).signal).toBe('SIGTERM');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'passes %s on, once when it comes twice',
    async (name) => {
      const program = await shadow(`
      let heard = 0;
      process.on('${name}', () => heard++);
      console.log('up');
      process.stdin.on('error', () => {});
      process.on('SIGUSR2', () => { console.log('heard', heard); process.exit(0); });
      setInterval(() => { if (heard > 0) setTimeout(() => process.kill(process.pid, 'SIGUSR2'), 200); }, 20);
    `);
      await program.waitForLine(/up/);
      program.signal(name);
      program.signal(name);
      await new Promise((resolve) => setTimeout(resolve, 50));
      program.signal(name);
      await program.waitForLine(/^heard 1$/);
      expect((await program.ended).code).toBe(0);
    },
  );

  it('takes the child along when it is killed', async () => {
    const program = await shadow('console.log("child", process.pid); setInterval(() => {}, 1e6);');
    const pid = Number((await program.waitForLine(/^child (\d+)/))[1]);
    await program.kill();
    await expect
      .poll(() => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''), { timeout: 10_000 })
      .toBe('');
  });
});

describe('the choice of a Node', () => {
  it.each([
    ['18.20.0', false],
    ['20.20.2', false],
    ['22.17.9', false],
    ['22.18.0', true],
    ['23.11.0', false],
    ['24.0.0', true],
    ['26.1.0', true],
  ])('%s is new enough: %s', (version, expected) => {
    expect(runtime.isNewEnough(version)).toBe(expected);
  });

  it('falls back to the one that npm brought', () => {
    const node = runtime.pickNode('20.20.2');
    expect(node).toMatch(/node_modules\/node-linux-(x64|arm64)\/bin\/node$/);
  });
});
