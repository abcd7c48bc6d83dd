/** Writes docs/halo-compatibility.md from the table. */
import type { AnyEndpoint, Row, Rows } from './row.ts';

const INTRODUCTION = `# Halo compatibility

Programs written for HaloITSM or HaloPSA can use Penstock's mail endpoints unchanged. Names, types and shapes are Halo's.
What its public description leaves open is decided here, and this page says how. \`/docs\` of a running Penstock lists every
call and every field with its meaning.

This page is made from the table in \`test/api/compatibility/\` by \`npm test -- test/api/compatibility-page -u\`. A row that works
has a test that shows how it changes the answer. \`answers only\` is what is not read and answers have; \`no\` says why.

## Conventions

- Paths, query parameters and property names are read in any letter case and written as Halo prints them. Unknown properties
  are ignored. All calls below \`/api\` are also there without it.
- Bodies are \`application/json\`, \`text/json\`, \`application/json-patch+json\` or any \`application/*+json\`.
- POST creates (no \`id\`, or 0) and updates (with \`id\`). It takes an array or a single record, saves all items in one
  transaction, and answers 201 with one record or an array. The first bad item makes the whole request fail; \`details\` names
  its index and field.
- An update is partial. What is left out stays; \`null\` clears. A client may post back a whole record it read: only what
  differs from what it was shown counts.
- A create that repeats an existing record in everything answers with that one and says so in \`_warning\`, because
  clients repeat requests whose answers they did not get.
- Dates are UTC. \`1900-01-01T00:00:00\` and \`0001-01-01T00:00:00\` mean no date.
- Errors carry \`ClassName\`, \`Message\` and \`error\`, which Halo's clients print, and beside them \`code\`, \`hint\`, \`request_id\`
  and \`details\`. 401 for a token that is missing, wrong or expired; 429 with \`Retry-After\` in seconds.
- Halo does not publish what its integers mean. The meanings here are in the notes, and in one file, \`src/api/halo/enums.ts\`.
`;

/** The whole page. */
export function compatibilityPage(endpoints: readonly AnyEndpoint[]): string {
  return [INTRODUCTION, ...endpoints.map(section)].join('\n');
}

function section({ title, about, calls, records }: AnyEndpoint): string {
  const lines = [`## ${title}`, ''];
  if (about !== undefined) lines.push(about.trim(), '');
  if (Object.keys(calls).length > 0) lines.push('| call, parameter | |', '|---|---|');
  for (const [call, { row, query = {} }] of Object.entries(calls)) {
    lines.push(`| \`${call}\` | ${verdict(row)} |`);
    for (const { names, text } of grouped(query))
      lines.push(`| ${names.map((name) => `\`?${name}\``).join(', ')} | ${text} |`);
  }
  for (const [record, rows] of Object.entries(records)) {
    lines.push('', `| ${record} | |`, '|---|---|');
    for (const { names, text } of grouped(rows))
      lines.push(`| ${names.map((name) => `\`${name}\``).join(', ')} | ${text} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** Rows that say the same stand in one line. */
function grouped(rows: Rows<unknown>): { names: string[]; text: string }[] {
  const groups = new Map<string, string[]>();
  for (const [name, row] of Object.entries(rows)) {
    const text = verdict(row);
    groups.set(text, [...(groups.get(text) ?? []), name]);
  }
  return [...groups].map(([text, names]) => ({ names, text }));
}

function verdict(row: Row<unknown>): string {
  if (row.probe !== undefined || row.shownIn !== undefined)
    return row.note === undefined ? 'works' : `works. ${row.note}`;
  return row.kind === 'answer' ? `answers only. ${row.note}` : `no. ${row.note}`;
}
