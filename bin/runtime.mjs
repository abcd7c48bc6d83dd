/**
 * What the scripts in bin/ share: are the dependencies installed, which Node runs us, and how to start it.
 * Plain JavaScript for Node 18 and later, because it runs before anything is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The top folder of the clone or of the installed package. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** False in an installed package or a container, which carry dist/ only. */
export const runsFromSource = existsSync(join(root, 'src', 'cli.ts'));

/**
 * Where Node keeps what it compiled (node:module, enableCompileCache): a clone starts in half the time, and holds no
 * compiler of TypeScript in memory. A folder that cannot be written to is no error.
 */
const compileCache = join(root, 'node_modules', '.cache', 'penstock');

/** A message for the person at the terminal. Standard output belongs to the command. */
export function say(line) {
  process.stderr.write(`penstock: ${line}\n`);
}

/** Ends the process with one line that says what to do. */
export function giveUp(line) {
  say(line);
  process.exit(1);
}

/**
 * Compares package-lock.json with what npm wrote down about node_modules. Optional packages count only when
 * they are there: npm leaves out those of other platforms.
 * @param {boolean} dev whether the packages for development are needed too
 */
export function dependenciesAreCurrent(dev) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (!wanted) return true;
  if (!installed) return false;
  for (const [path, pkg] of Object.entries(wanted)) {
    if (path === '') continue;
    const present = installed[path];
    if (present ? present.version !== pkg.version || present.integrity !== pkg.integrity : isNeeded(pkg, dev))
      return false;
  }
  return true;
}

function isNeeded(pkg, dev) {
  if (pkg.optional || pkg.devOptional) return false;
  return dev || !pkg.dev;
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Runs `npm ci` when something is missing or outdated, and says so. Does nothing without a source tree. */
export function ensureDependencies({ dev = false } = {}) {
  if (!runsFromSource || dependenciesAreCurrent(dev)) return;
  say('installing dependencies with npm ci (once, takes about half a minute)');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  if (dev) args.push('--include=dev');
  // npm names its own script when it started us, so that the same npm is used again.
  const npm = process.env.npm_execpath ?? '';
  const result = npm.endsWith('npm-cli.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.error) giveUp(`npm could not be started (${result.error.message}); install Node.js with npm.`);
  if (result.status !== 0) giveUp('npm ci failed; see its lines above.');
}

/** Type stripping without a flag came with 22.18; 23 is past its end of life. */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major === 22 ? minor >= 18 : major >= 24;
}

/** The Node to run under: this one when it is new enough, else the one that npm brought along. */
export function pickNode(current = process.versions.node) {
  if (isNewEnough(current)) return process.execPath;
  const name = `node-linux-${process.arch}`;
  try {
    const require = createRequire(join(root, 'package.json'));
    const node = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
    accessSync(node, constants.X_OK);
    return node;
  } catch {
    return giveUp(
      `Node.js 22.18, 24 or later is needed and this is ${current}. Install it from ` +
        `https://nodejs.org, or on Linux let npm bring it: npm ci --include=optional (package ${name}).`,
    );
  }
}

/** The environment of a program: its own Node comes first in PATH, so that whatever it starts uses it too. */
export function environmentFor(node) {
  const PATH = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  return { ...(runsFromSource ? { NODE_COMPILE_CACHE: compileCache } : {}), ...process.env, PATH };
}

/**
 * Runs a script of ours, TypeScript or JavaScript. Under a Node that is new enough it becomes this very process;
 * otherwise a child, of which this process is the shadow: signals go in, the exit code comes out.
 */
export async function runScript(script, args) {
  const node = pickNode();
  if (node !== process.execPath) return runShadowed(node, [script, ...args]);
  process.env.PATH = environmentFor(node).PATH;
  process.argv = [node, script, ...args];
  process.setSourceMapsEnabled(true);
  // Node 22 and later have it; older ones only start a newer one.
  if (runsFromSource) module.enableCompileCache?.(compileCache);
  await import(pathToFileURL(script).href);
}

/** Starts `node args...` with the flags that this process was given, passes signals on, and ends as it ends. */
export function runShadowed(node, args) {
  const follow = pathToFileURL(join(root, 'bin', 'follow-launcher.mjs')).href;
  const flags = [...process.execArgv, '--enable-source-maps', '--import', follow];
  const child = spawn(node, [...flags, ...args], {
    // The fourth pipe is never written to. It breaks when this process dies, which tells the child to go too.
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...environmentFor(node), PENSTOCK_LAUNCHER_FD: '3' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) passOn(signal, child);
  child.on('error', (error) => giveUp(`${node} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  return child;
}

/** One press of Ctrl-C reaches us from the terminal and again from npm: within a second it is passed on once. */
function passOn(signal, child) {
  let last = Number.NEGATIVE_INFINITY;
  process.on(signal, () => {
    const now = performance.now();
    if (now - last < 1000) return;
    last = now;
    child.kill(signal);
  });
}
