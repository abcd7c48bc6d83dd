/**
 * The table of everything that Halo's public description has (calls, parameters, fields), one file for each endpoint.
 * A row either shows by a probe that it changes the answer, or has a note that says why it does not. The page
 * docs/halo-compatibility.md is made from it.
 */
import { expect } from 'vitest';
import type { Answer, Fixture } from '../fixture.ts';

/** Two answers that differ by the row alone: without it, and with it. `name` is that of the row. */
export type Probe<W> = (
  api: Fixture,
  world: W,
  name: string,
) => Promise<readonly [without: unknown, withIt: unknown]>;

/**
 * With a probe it works, and the note, if any, says how far. Without one the note is the reason; or it is something that only
 * answers have; or it works, and another test shows it, because it takes more than a request.
 */
export type Row<W> =
  | { probe: Probe<W>; note?: string; shownIn?: undefined }
  | { probe?: undefined; note: string; kind?: 'answer'; shownIn?: undefined }
  | { probe?: undefined; note: string; kind?: undefined; shownIn: string };
export type Rows<W> = Readonly<Record<string, Row<W>>>;

export interface Call<W> {
  /** What shows that the call works. Parameters are rows of their own. */
  row: Row<W>;
  query?: Rows<W>;
}

export interface Endpoint<W> {
  /** Heading on the page. */
  title: string;
  /** What is to be known beside the rows; Markdown. */
  about?: string;
  /** Makes what the probes need, once. */
  prepare(api: Fixture): Promise<W>;
  /** By method and path, as `GET /EmailRule/{id}`. */
  calls: Readonly<Record<string, Call<W>>>;
  /** Fields, by the title of their record in the API's document. */
  records: Readonly<Record<string, Rows<W>>>;
}

/** An endpoint whose world nobody outside needs to know. */
// biome-ignore lint/suspicious/noExplicitAny: each endpoint has a world of its own, known to its probes alone.
export type AnyEndpoint = Endpoint<any>;

export const works = <W>(probe: Probe<W>, note?: string): Row<W> =>
  note === undefined ? { probe } : { probe, note };

/** A row without effect, and why. */
export const not = <W>(note: string): Row<W> => ({ note });

/** What is not read, and answers have. */
export const inAnswers = <W>(note: string): Row<W> => ({ note, kind: 'answer' });

/** What works, as this test file shows; it must name it. */
export const elsewhere = <W>(shownIn: string, note: string): Row<W> => ({ note, shownIn });

/** The same reason for several rows. */
export function allNot<W>(note: string, ...names: string[]): Rows<W> {
  return Object.fromEntries(names.map((name) => [name, not<W>(note)]));
}

/** The same for several rows that only answers have. */
export function allInAnswers<W>(note: string, ...names: string[]): Rows<W> {
  return Object.fromEntries(names.map((name) => [name, inAnswers<W>(note)]));
}

/** Makes rows of query parameters: the call without the parameter, and with it. */
export function asking<W>(url: (world: W) => string) {
  return (value: string | ((world: W) => string), note?: string): Row<W> =>
    works(async (api, world, name) => {
      const text = encodeURIComponent(typeof value === 'string' ? value : value(world));
      const path = url(world);
      const plain = await ok(api.send('GET', path));
      const asked = await ok(api.send('GET', `${path}${path.includes('?') ? '&' : '?'}${name}=${text}`));
      return [plain.json(), asked.json()];
    }, note);
}

/**
 * Makes rows of fields that a POST stores and later answers give back. `post` saves a new record with these fields and
 * returns it as it is read afterwards.
 */
export function storing<W>(
  post: (api: Fixture, world: W, fields: Record<string, unknown>) => Promise<Record<string, unknown>>,
) {
  return (value: unknown, note?: string, more: Record<string, unknown> = {}): Row<W> =>
    works(async (api, world, name) => {
      const plain = await post(api, world, more);
      const changed = await post(api, world, { ...more, [name]: value });
      expect(changed[name], name).toEqual(value);
      return [plain[name], changed[name]];
    }, note);
}

/** An answer that must be a success. */
export async function ok(answering: Promise<Answer>): Promise<Answer> {
  const answer = await answering;
  expect(answer.statusCode, answer.payload).toBeLessThan(300);
  return answer;
}
