/**
 * Installs what is missing: the npm dependencies, and with `--test` the servers and tools the tests run
 * against. As root on Debian or Ubuntu it uses apt; elsewhere it says in one line what is missing.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDependencies, giveUp, say } from './runtime.mjs';

/** Debian package, and how to see that what it brings is there, however it was installed. */
const NEEDED = [
  { name: 'dovecot-imapd', isThere: () => hasCommand('dovecot') && existsSync('/usr/lib/dovecot/imap') },
  { name: 'dovecot-pop3d', isThere: () => existsSync('/usr/lib/dovecot/pop3') },
  { name: 'redis-server', isThere: () => hasCommand('redis-server') },
  { name: 'postgresql', isThere: () => hasCommand('postgres') || hasDebianPostgres() },
  { name: 'prometheus', isThere: () => hasCommand('promtool') },
  { name: 'docker-compose', isThere: () => hasCommand('docker-compose') },
  { name: 'openssl', isThere: () => hasCommand('openssl') },
];

function hasCommand(command) {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return places.some((place) => isExecutable(join(place, command)));
}

function hasDebianPostgres() {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  return versions.some((version) => isExecutable(join('/usr/lib/postgresql', version, 'bin/postgres')));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {{ test?: boolean }} options with `test`, also what the tests need */
export function setUp({ test = false } = {}) {
  ensureDependencies({ dev: test });
  if (test) ensurePackages();
}

function ensurePackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (!isDebian()) giveUp(`the tests need, by their Debian names: ${names}. Install them and try again.`);
  if (process.getuid() !== 0) giveUp(`the tests need: sudo apt-get install --no-install-recommends ${names}`);
  say(`installing Debian packages for the tests: ${names}`);
  withServicesKeptOff(() => {
    // Package lists are missing on a fresh image and stale on an old one; only then they are fetched.
    if (!install(missing)) {
      apt(['update']);
      if (!install(missing, { loud: true })) process.exitCode = 1;
    }
  });
  const still = missingPackages();
  if (still.length > 0) giveUp(`these packages could not be installed: ${still.join(' ')}`);
}

function missingPackages() {
  return NEEDED.filter((item) => !item.isThere()).map((item) => item.name);
}

function isDebian() {
  if (!hasCommand('apt-get') || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

function install(names, { loud = false } = {}) {
  return apt(['install', '--yes', '--no-install-recommends', ...names], loud);
}

function apt(args, loud = false) {
  const result = spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
  });
  if (result.status !== 0 && loud) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return result.status === 0;
}

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_TEXT =
  '#!/bin/sh\n# Written by the setup of Penstock while it installs packages; safe to remove.\nexit 101\n';

/**
 * Packages of servers start their servers when installed. The tests start their own, so a policy that says no
 * is put in place meanwhile, unless the machine has one of its own. What runs already is left alone.
 */
function withServicesKeptOff(work) {
  // Ours may be left from a run that was killed: it is taken over and removed in the end.
  const ours = !existsSync(POLICY) || readFileSync(POLICY, 'utf8') === POLICY_TEXT;
  // Ctrl-C ends apt; this process goes on to take the policy away again.
  const wait = () => {};
  process.on('SIGINT', wait);
  try {
    if (ours) writeFileSync(POLICY, POLICY_TEXT, { mode: 0o755 });
    work();
  } finally {
    if (ours) rmSync(POLICY, { force: true });
    process.off('SIGINT', wait);
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  setUp({ test: process.argv.includes('--test') });
}
