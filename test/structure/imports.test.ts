/** The rooms of HACKING.md: who may know whom. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

interface Import {
  from: string;
  to: string;
  /** Erased before anything runs. */
  typesOnly: boolean;
}

/**
 * What each room may import beside its own files and those directly in src/ that are listed as `anybody`: a room, a
 * single file, or with `type` before it only types. Rooms that are not listed may import everything.
 */
const anybody = ['errors.ts', 'limits.ts', 'sync-folder.ts', 'version.ts'];
const MAY: Record<string, string[]> = {
  message: [],
  config: [],
  source: ['message/header-block.ts'],
  rule: ['message'],
  ticket: ['message', 'rule'],
  send: ['source'],
  outbound: ['store', 'send', 'ticket/reply-token.ts', 'lab/crash-point.ts', 'type observe'],
  store: [
    'deliver/event.ts',
    'message/storable.ts',
    'source/kinds.ts',
    'type deliver',
    'type observe/trace.ts',
    'type source',
    'type rule',
    'type ticket',
    'type send',
    'type outbound',
  ],
  raw: ['type store', 'message/header-block.ts'],
  queue: ['store', 'type observe', 'type source'],
  observe: ['store', 'type config', 'type message', 'type rule'],
  intake: ['store', 'message', 'lab/crash-point.ts', 'type source', 'type raw', 'type observe'],
  deliver: ['store', 'source/probe.ts', 'lab/crash-point.ts', 'type message', 'type observe'],
  process: [
    'store',
    'deliver/destination.ts',
    'message',
    'rule',
    'ticket',
    'outbound',
    'lab/crash-point.ts',
    'type config',
    'type deliver',
    'type observe',
    'type queue',
    'type raw',
    'type source',
    'type runtime.ts',
  ],
  api: [
    'store',
    'deliver',
    'message',
    'rule',
    'outbound',
    'ticket/formatted-mail.ts',
    'type send',
    'observe/health.ts',
    'intake/post.ts',
    'mailbox-credential.ts',
    'mailbox-source.ts',
    'type sign-in.ts',
    'source/kinds.ts',
    'source/graph/notification.ts',
    'source/gmail/push.ts',
    'type config',
    'type observe',
    'type ticket',
    'type source',
  ],
  // The demo prints tables as the command line does.
  lab: ['cli/table.ts', 'cli/text.ts', 'type cli/progress.ts', 'type message', 'type observe'],
};

const roomOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file);

/** Imports as the linter formats them; a comment may hold no such line. */
function importsOf(from: string): Import[] {
  const text = readFileSync(join(SRC, from), 'utf8');
  const found: Import[] = [];
  const add = (path: string, typesOnly: boolean): void => {
    found.push({ from, to: relative(SRC, join(SRC, dirname(from), path)), typesOnly });
  };
  for (const [, clause = '', path = ''] of text.matchAll(
    /^(?:import|export) ([^;']*?)(?:from )?'(\.[^']+)';/gm,
  )) {
    const names = /^\{([^}]*)\} $/.exec(clause)?.[1]?.split(',') ?? null;
    const eachIsType = names?.every((name) => name.trim() === '' || name.trim().startsWith('type '));
    add(path, clause.startsWith('type ') || eachIsType === true);
  }
  for (const [, path = ''] of text.matchAll(/\bimport\('(\.[^']+)'\)/g)) add(path, false);
  return found;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const imports = files.flatMap(importsOf);

/** A way from a file back to itself, or null. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    path.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle !== null) return cycle;
    }
    path.pop();
    done.add(file);
    return null;
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle !== null) return cycle;
  }
  return null;
}

function edgesOf(list: readonly Import[]): Map<string, string[]> {
  const edges = new Map<string, string[]>();
  for (const { from, to } of list) edges.set(from, [...(edges.get(from) ?? []), to]);
  return edges;
}

function isAllowed({ from, to, typesOnly }: Import): boolean {
  const may = MAY[roomOf(from)];
  if (may === undefined || roomOf(from) === roomOf(to) || anybody.includes(to)) return true;
  return may.some((entry) => {
    const onlyTypes = entry.startsWith('type ');
    const target = onlyTypes ? entry.slice('type '.length) : entry;
    return (target === to || target === roomOf(to)) && (typesOnly || !onlyTypes);
  });
}

const show = ({ from, to, typesOnly }: Import): string =>
  `${from} imports ${typesOnly ? 'types of ' : ''}${to}`;

describe('imports in src/', () => {
  it('are found, and lead to files that exist', () => {
    expect(imports.length).toBeGreaterThan(1_000);
    const known = new Set(files);
    expect(imports.filter(({ to }) => !known.has(to)).map(show)).toEqual([]);
  });

  it('go in no circle, not even for types', () => {
    expect(findCycle(edgesOf(imports))).toBeNull();
    const back = { from: 'store/tables.ts', to: 'daemon.ts', typesOnly: true };
    expect(findCycle(edgesOf([...imports, back]))).toContain('daemon.ts');
  });

  it('keep to the rooms', () => {
    expect(imports.filter((one) => !isAllowed(one)).map(show)).toEqual([]);
    expect(isAllowed({ from: 'rule/match.ts', to: 'store/rules.ts', typesOnly: true })).toBe(false);
    expect(isAllowed({ from: 'store/rules.ts', to: 'rule/match.ts', typesOnly: false })).toBe(false);
  });

  it('need every exception that is listed', () => {
    const unused = Object.entries(MAY).flatMap(([room, entries]) =>
      entries
        .filter((entry) => {
          const target = entry.replace(/^type /, '');
          return !imports.some(
            ({ from, to }) => roomOf(from) === room && (to === target || roomOf(to) === target),
          );
        })
        .map((entry) => `${room}: ${entry}`),
    );
    expect(unused).toEqual([]);
  });
});
