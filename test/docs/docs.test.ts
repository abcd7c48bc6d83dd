/** The documentation speaks of things that exist: links, files, settings, metrics, commands and their options. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { auditCommand } from '../../src/cli/audit.ts';
import { clientCommand } from '../../src/cli/client.ts';
import { configCommand } from '../../src/cli/config.ts';
import { demoCommand } from '../../src/cli/demo.ts';
import { destinationCommand } from '../../src/cli/destination.ts';
import { doctorCommand } from '../../src/cli/doctor.ts';
import { importCommand } from '../../src/cli/import.ts';
import { mailboxCommand } from '../../src/cli/mailbox.ts';
import { outgoingCommand } from '../../src/cli/outgoing.ts';
import { rulesCommand } from '../../src/cli/rules.ts';
import { secretsCommand } from '../../src/cli/secrets.ts';
import { startCommand } from '../../src/cli/start.ts';
import { SETTINGS } from '../../src/config/settings.ts';
import { Events } from '../../src/observe/events.ts';
import type { Facts } from '../../src/observe/facts.ts';
import { createMetrics } from '../../src/observe/metrics.ts';

const root = new URL('../../', import.meta.url).pathname;

interface Page {
  path: string;
  text: string;
}

let pages: Page[];

beforeAll(async () => {
  const below = async (folder: string): Promise<string[]> =>
    (await readdir(join(root, folder), { recursive: true })).map((name) => join(folder, name));
  const atTop = await readdir(root);
  const paths = [...atTop, ...(await below('docs'))].filter((path) => path.endsWith('.md'));
  pages = await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })),
  );
});

/** What the pages say, as `page: word`, for every match of the pattern's group. */
function mentions(pattern: RegExp): { path: string; word: string }[] {
  return pages.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map(([, word]) => ({ path, word: word! })),
  );
}

describe('documentation', () => {
  it('has the pages that people look for', () => {
    const paths = pages.map(({ path }) => path);
    for (const name of [
      'README.md',
      'CHANGELOG.md',
      'SECURITY.md',
      'CONTRIBUTING.md',
      'docs/contributor/HACKING.md',
    ]) {
      expect(paths).toContain(name);
    }
  });

  it('links to what exists', () => {
    const links = mentions(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g).filter(({ word }) => !/^[a-z]+:/.test(word));
    expect(links.length).toBeGreaterThan(20);
    const broken = links.filter(({ path, word }) => !existsSync(join(root, dirname(path), word)));
    expect(broken).toEqual([]);
  });

  it('names files that exist', () => {
    const files = mentions(/`((?:src|bin|test|deploy|docs|bench)\/[\w./-]*)`/g);
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter(({ word }) => !existsSync(join(root, word)))).toEqual([]);
  });

  it('names files of the rooms that exist', async () => {
    const sources = await readdir(join(root, 'src'), { recursive: true });
    const isThere = (word: string): boolean =>
      sources.some((name) => name === word || name.endsWith(`/${word}`));
    const files = mentions(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g).filter(
      ({ word }) => !/^(src|test|bin|bench)\//.test(word),
    );
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter(({ word }) => !isThere(word))).toEqual([]);
  });

  it('names settings and variables that exist', () => {
    const known = new Set<string>(SETTINGS.flatMap(({ path, env }) => [path, env]));
    const groups = [...new Set(SETTINGS.map(({ path }) => path.split('.')[0]))].join('|');
    const settings = mentions(new RegExp(`\`((?:${groups})\\.[a-zA-Z]+)\``, 'g')).filter(
      ({ word }) => !/\.(ts|key)$/.test(word),
    );
    expect(settings.length).toBeGreaterThan(SETTINGS.length);
    expect(settings.filter(({ word }) => !known.has(word))).toEqual([]);
    const variables = mentions(/\b(PENSTOCK_[A-Z_]+)\b/g).filter(({ word }) => word !== 'PENSTOCK_CONFIG');
    expect(variables.filter(({ word }) => !known.has(word))).toEqual([]);
  });

  it('names metrics that exist', () => {
    const names = createMetrics({ events: new Events(), readFacts: async () => ({}) as Facts }).names();
    const metrics = mentions(/`(penstock_[a-z_]+)`/g);
    expect(metrics.length).toBeGreaterThan(3);
    expect(metrics.filter(({ word }) => !names.includes(word))).toEqual([]);
  });

  it('names commands and options that exist', () => {
    const commands: Command[] = [
      auditCommand(),
      clientCommand(),
      configCommand(),
      demoCommand(),
      destinationCommand(),
      doctorCommand(),
      importCommand(),
      mailboxCommand(),
      outgoingCommand(),
      rulesCommand(),
      secretsCommand(),
      startCommand(),
    ];
    const wrong: string[] = [];
    let seen = 0;
    for (const { path, line } of commandLines()) {
      const problem = check(line, commands);
      seen += 1;
      if (problem !== null) wrong.push(`${path}: ${line}: ${problem}`);
    }
    expect(seen).toBeGreaterThan(30);
    expect(wrong).toEqual([]);
  });
});

/** Calls of `penstock` in code, with continued lines joined. */
function commandLines(): { path: string; line: string }[] {
  return pages.flatMap(({ path, text }) => {
    const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
      block!.replaceAll(/\\\n\s*/g, ' ').split('\n'),
    );
    const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!);
    return [...blocks, ...spans].flatMap((code) => {
      const plain = code
        .replace(/docker compose exec (?:-T )?penstock /, '')
        .replace('npm run -s penstock -- ', 'penstock ')
        .replace(/\S*bin\/penstock\.mjs /, 'penstock ');
      const call = /^(?:.*\s)?penstock ([a-z].*)$/.exec(plain);
      return call === null ? [] : [{ path, line: call[1]!.replace(/\s+#.*$/, '') }];
    });
  });
}

/** What is wrong with a call, or null. */
function check(line: string, commands: readonly Command[]): string | null {
  const words = line.split(/\s+/).filter((word) => word !== '');
  if (words[0]?.startsWith('-')) return null;
  const top = commands.find((command) => command.name() === words[0]);
  if (top === undefined) return `there is no command ${words[0]}`;
  let command = top;
  for (let at = 1; command.commands.length > 0; at += 1) {
    const names = (words[at] ?? '').split('|');
    const subs = names.map((name) => command.commands.find((sub) => sub.name() === name));
    if (subs.includes(undefined)) return `there is no command ${words.slice(0, at + 1).join(' ')}`;
    command = subs[0]!;
  }
  const options = command.options.map((option) => option.long);
  const unknown = words.filter((word) => word.startsWith('--')).find((word) => !options.includes(word));
  return unknown === undefined ? null : `there is no option ${unknown}`;
}
