/** Programs under test and servers for tests: started, listened to, ended, and never left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killOnExit, onCleanup } from './cleanup.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** As bin/runtime.mjs has it: programs start in half the time. */
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/penstock', import.meta.url));
const follow = new URL('../../bin/follow-launcher.mjs', import.meta.url).href;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StartOptions {
  /** On top of the environment of the tests, from which PENSTOCK_*, DATABASE_URL and REDIS_URL are taken out. */
  env?: Record<string, string>;
  cwd?: string;
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  input?: string;
  uid?: number;
  gid?: number;
}

/** A running program. Its output is kept whole. */
export class Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #waiters = new Set<() => void>();
  #result: Ended | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    const forgetUndo = onCleanup(() => this.kill());
    const forgetKill = this.pid > 1 ? killOnExit(this.pid) : () => {};
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      const end = (result: Ended) => {
        this.#result = result;
        forgetUndo();
        forgetKill();
        resolve(result);
        this.#wake();
      };
      child.on('error', (error) => {
        this.stderr += `${error.message}\n`;
        end({ code: 127, signal: null });
      });
      // 'close' comes when the output is complete; a grandchild that keeps it open must not hide the exit.
      child.on('close', (code, signal) => end({ code, signal }));
      child.on('exit', (code, signal) => setTimeout(() => end({ code, signal }), 500).unref());
    });
  }

  /** Both streams, for messages. */
  get output(): string {
    return `${this.stdout}${this.stderr}`;
  }

  get hasEnded(): boolean {
    return this.#result !== undefined;
  }

  /**
   * The first line of the output that matches, now or later. Rejects, with the output, when the program ends
   * without it or the time is over.
   */
  async waitForLine(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpMatchArray> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      for (const line of this.output.split('\n')) {
        const match = line.match(pattern);
        if (match) return match;
      }
      const left = deadline - performance.now();
      if (this.#result) throw new Error(`Ended without ${pattern}:\n${this.output}`);
      if (left <= 0) throw new Error(`No line ${pattern} in ${timeoutMs} ms:\n${this.output}`);
      await this.#somethingNew(left);
    }
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#result) this.#child.kill(name);
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<Ended> {
    this.signal('SIGKILL');
    return this.ended;
  }

  /** Asks it to stop, and waits. Rejects, and kills it, when that takes longer. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 15_000): Promise<Ended> {
    this.signal(signal);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutMs);
    });
    const result = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    if (result !== 'late') return result;
    await this.kill();
    throw new Error(`Did not stop in ${timeoutMs} ms after ${signal}:\n${this.output}`);
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #somethingNew(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, timeoutMs);
      const waiters = this.#waiters;
      function done() {
        clearTimeout(timer);
        waiters.delete(done);
        resolve();
      }
      waiters.add(done);
    });
  }
}

/** Starts any program. */
export function startProgram(command: string, args: string[], options: StartOptions = {}): Running {
  const { input, env, ...rest } = options;
  const child = spawn(command, args, {
    cwd: root,
    ...rest,
    env: { ...cleanEnvironment(), ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  if (input !== undefined) child.stdin?.on('error', () => {}).end(input);
  return new Running(child);
}

/** Starts a script of this project under the Node of the tests. It dies with them. */
export function startScript(script: string, args: string[] = [], options: StartOptions = {}): Running {
  const { input, env, ...rest } = options;
  const child = spawn(process.execPath, ['--import', follow, script, ...args], {
    cwd: root,
    ...rest,
    env: { ...cleanEnvironment(), NODE_COMPILE_CACHE: compileCache, ...env, PENSTOCK_LAUNCHER_FD: '3' },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  if (input !== undefined) child.stdin?.on('error', () => {}).end(input);
  return new Running(child);
}

/** Starts `penstock ARGS`: `startPenstock(['start'], { env: { PENSTOCK_DATA: folder } })`. */
export function startPenstock(args: string[], options: StartOptions = {}): Running {
  return startScript(`${root}src/cli.ts`, args, options);
}

export interface Finished extends Ended {
  stdout: string;
  stderr: string;
  /** Both streams. */
  output: string;
}

/** Runs `penstock ARGS` to its end. */
export async function runPenstock(args: string[], options: StartOptions = {}): Promise<Finished> {
  const running = startPenstock(args, options);
  const ended = await running.ended;
  return { ...ended, stdout: running.stdout, stderr: running.stderr, output: running.output };
}

/** Settings of the person who runs the tests must not change what is tested. */
export function cleanEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const isOurs = /^(PENSTOCK_|PG)/.test(name) || name === 'DATABASE_URL' || name === 'REDIS_URL';
    // Vitest's own marks, which libraries take for "being tested".
    const isTestMark = /^(VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$)/.test(name);
    if (value !== undefined && !isOurs && !isTestMark) kept[name] = value;
  }
  return kept;
}
