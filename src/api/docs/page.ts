/** The readable form of the API's document: one page, rendered here, that works without its script. */

interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  readOnly?: boolean;
  writeOnly?: boolean;
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
}

interface Operation {
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description?: string; content?: Record<string, { schema: Schema }> }>;
  security?: object[];
}

export interface OpenApi {
  info: { title: string; version: string; description?: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

export function renderPage(document: OpenApi): string {
  const { info, tags, components } = document;
  const groups = tags.map(({ name, description }) => {
    const operations = operationsOf(document, name);
    return { name, description, operations };
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)} API</title>
<link rel="stylesheet" href="/docs/page.css">
<script src="/docs/page.js" defer></script>
</head>
<body>
<header>
<h1>${escapeHtml(info.title)} API <small>${escapeHtml(info.version)}</small></h1>
<p>${escapeHtml(info.description ?? '')}</p>
<p><a href="/openapi.json">OpenAPI document</a></p>
<div class="tools" hidden>
<label>Search <input type="search" id="search" placeholder="path, field or word" autocomplete="off"></label>
<label>Token for trying calls <input type="password" id="token" autocomplete="off" spellcheck="false"></label>
</div>
</header>
<nav aria-label="Calls">
${groups.map(({ name, operations }) => renderContents(name, operations)).join('\n')}
<h2>Records</h2>
<ul>${Object.keys(components.schemas)
    .map((name) => `<li><a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a></li>`)
    .join('')}</ul>
</nav>
<main>
${groups.map(({ name, description, operations }) => renderGroup(name, description, operations)).join('\n')}
<section>
<h2>Records</h2>
${Object.entries(components.schemas)
  .map(([name, schema]) => renderRecord(name, schema))
  .join('\n')}
</section>
</main>
</body>
</html>
`;
}

interface Listed {
  id: string;
  method: string;
  path: string;
  operation: Operation;
}

function operationsOf(document: OpenApi, tag: string): Listed[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.tags?.includes(tag))
      .map(([method, operation]) => ({
        id: `${method}-${path.replace(/[^\w]+/g, '-')}`,
        method: method.toUpperCase(),
        path,
        operation,
      })),
  );
}

function renderContents(name: string, operations: Listed[]): string {
  const items = operations.map(
    ({ id, method, path }) =>
      `<li data-words="${escapeHtml(`${method} ${path}`)}"><a href="#${escapeHtml(id)}"><b>${method}</b> ${escapeHtml(path)}</a></li>`,
  );
  return `<h2>${escapeHtml(name)}</h2>\n<ul>${items.join('')}</ul>`;
}

function renderGroup(name: string, description: string, operations: Listed[]): string {
  return `<section>
<h2>${escapeHtml(name)}</h2>
<p>${escapeHtml(description)}</p>
${operations.map(renderOperation).join('\n')}
</section>`;
}

function renderOperation({ id, method, path, operation }: Listed): string {
  const { summary = '', description = '', parameters = [], requestBody, responses, security } = operation;
  const body = Object.entries(requestBody?.content ?? {})[0];
  return `<article id="${escapeHtml(id)}" data-method="${method}" data-path="${escapeHtml(path)}">
<h3><b class="method ${method.toLowerCase()}">${method}</b> <code>${escapeHtml(path)}</code> <span>${escapeHtml(summary)}</span></h3>
${description === '' ? '' : `<p>${escapeHtml(description)}</p>`}
${security === undefined ? '<p class="open">No token is needed.</p>' : ''}
${parameters.length === 0 ? '' : renderParameters(parameters)}
${body === undefined ? '' : `<h4>Body <small>${escapeHtml(body[0])}</small></h4>\n${renderSchema(body[1].schema)}`}
<h4>Answers</h4>
<dl>${Object.entries(responses)
    .map(
      ([status, answer]) =>
        `<dt>${escapeHtml(status)}</dt><dd>${escapeHtml(answer.description ?? '')} ${renderAnswer(answer.content)}</dd>`,
    )
    .join('')}</dl>
</article>`;
}

function renderAnswer(content: Record<string, { schema: Schema }> | undefined): string {
  const [first] = Object.values(content ?? {});
  return first?.schema === undefined ? '' : renderSchema(first.schema);
}

function renderParameters(parameters: Parameter[]): string {
  const rows = parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr data-in="${escapeHtml(place)}" data-name="${escapeHtml(name)}"><td><code>${escapeHtml(name)}</code>${required ? ' <em>required</em>' : ''}</td><td>${escapeHtml(place)}</td><td>${renderType(schema)}</td><td>${escapeHtml(description ?? schema.description ?? '')}</td></tr>`,
  );
  return `<h4>Parameters</h4>\n<table><thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function renderRecord(name: string, schema: Schema): string {
  return `<article id="schema-${escapeHtml(name)}"><h3>${escapeHtml(name)}</h3>\n${renderSchema(schema)}</article>`;
}

/** A type in a word, and a table when it has fields of its own. */
function renderSchema(schema: Schema): string {
  const inner = schema.items ?? schema;
  if (inner.properties === undefined) return renderType(schema);
  const required = new Set(inner.required);
  const rows = Object.entries(inner.properties).map(([name, field]) => {
    const nested = (field.items ?? field).properties === undefined ? '' : renderSchema(field);
    return `<tr><td><code>${escapeHtml(name)}</code>${required.has(name) ? ' <em>required</em>' : ''}</td><td>${renderType(field)}</td><td>${escapeHtml(field.description ?? '')}${nested}</td></tr>`;
  });
  const many = schema.items === undefined ? '' : '<p>An array of:</p>';
  return `${many}<table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function renderType(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1)!;
    return `<a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  if (schema.anyOf !== undefined) return schema.anyOf.map(renderType).join(' or ');
  if (schema.items !== undefined) return `array of ${renderType(schema.items)}`;
  if (schema.enum !== undefined) return schema.enum.map((value) => escapeHtml(String(value))).join(' | ');
  if (schema.const !== undefined) return escapeHtml(JSON.stringify(schema.const));
  const words = [schema.type ?? 'any'].flat().join(' or ');
  const marks = [schema.format, schema.readOnly && 'read-only', schema.writeOnly && 'write-only'];
  const more = marks.filter(Boolean).join(', ');
  return escapeHtml(more === '' ? words : `${words} (${more})`);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
