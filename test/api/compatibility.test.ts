/** Every row of the table of what Halo has: it changes the answer, or it says why not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINTS, OURS } from './compatibility/endpoints.ts';
import type { Row, Rows } from './compatibility/row.ts';
import type { Document } from './contract.ts';
import { useApi } from './fixture.ts';

const api = useApi();

interface Schema {
  properties?: Record<string, object>;
}

let document: Document;
beforeAll(() => {
  document = api.api.swagger() as unknown as Document;
});

/** The rows with a probe. */
const shown = (rows: Rows<unknown>): string[] =>
  Object.keys(rows).filter((name) => rows[name]!.probe !== undefined);

/** `GET /EmailRule/{id}` as it stands in the document. */
function operationOf(call: string): Document['paths'][string][string] | undefined {
  const [method, path] = call.split(' ') as [string, string];
  return document.paths[`/api${path}`]?.[method.toLowerCase()];
}

describe.each(ENDPOINTS)('$title', ({ prepare, calls, records }) => {
  let world: unknown;
  beforeAll(async () => {
    world = await prepare(api);
  });

  const show = (title: string, name: string, { probe }: Row<unknown>): void => {
    if (probe === undefined) return;
    it(title, async () => {
      const [without, withIt] = await probe(api, world, name);
      expect(withIt).not.toEqual(without);
    });
  };
  for (const [call, { row, query = {} }] of Object.entries(calls)) {
    show(call, call, row);
    for (const [name, one] of Object.entries(query)) show(`${call} ?${name}`, name, one);
  }
  for (const [record, rows] of Object.entries(records)) {
    for (const [name, row] of Object.entries(rows)) show(`${record}.${name}`, name, row);
  }

  it('has rows for all that the document has, and the document has all that works', () => {
    for (const [call, { row, query = {} }] of Object.entries(calls)) {
      const operation = operationOf(call);
      expect(operation !== undefined, call).toBe(row.probe !== undefined);
      if (operation === undefined) continue;
      const known = (operation.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => name);
      expect(Object.keys(query), call).toEqual(expect.arrayContaining(known));
      expect(known, call).toEqual(expect.arrayContaining(shown(query)));
    }
    for (const [record, rows] of Object.entries(records)) {
      const schema = document.components.schemas[record] as Schema | undefined;
      const known = Object.keys(schema?.properties ?? {}).filter((name) => name !== 'penstock');
      expect(Object.keys(rows), record).toEqual(expect.arrayContaining(known));
      expect(known, record).toEqual(expect.arrayContaining(shown(rows)));
    }
  });
});

it('the table and the list of our own calls are all that the API has', () => {
  const described = Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/api/'))
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.slice('/api'.length)}`),
    );
  const listed = [...ENDPOINTS.flatMap(({ calls }) => Object.keys(calls)), ...OURS];
  expect(listed).toEqual(expect.arrayContaining(described));
  expect(new Set(listed).size).toBe(listed.length);
});

it('every row without a probe says why, or which test shows it', () => {
  const all = ENDPOINTS.flatMap(({ calls, records }) => [
    ...Object.values(calls).flatMap(({ row, query = {} }) => [row, ...Object.values(query)]),
    ...Object.values(records).flatMap((rows) => Object.values(rows)),
  ]);
  expect(all.filter(({ probe, note }) => probe === undefined && (note ?? '').length < 10)).toEqual([]);
  for (const { records } of ENDPOINTS) {
    for (const [name, { shownIn }] of Object.values(records).flatMap((rows) => Object.entries(rows)))
      if (shownIn !== undefined)
        expect(readFileSync(join(import.meta.dirname, shownIn), 'utf8')).toContain(name);
  }
});
