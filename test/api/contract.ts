/** Checks answers against the API's own document, so that it cannot say what is not so. */
import { Compile } from 'typebox/schema';

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string; description?: string; schema: { description?: string } }[];
  responses: Record<string, { content?: Record<string, { schema?: object }> }>;
}
export interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

type Check = (body: unknown) => string[];

export class Contract {
  readonly #operations: { method: string; path: RegExp; operation: Operation }[];
  readonly #definitions: Record<string, object>;
  readonly #checks = new Map<object, Check>();

  constructor(document: Document) {
    this.#definitions = document.components.schemas;
    this.#operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`, 'i'),
        operation,
      })),
    );
  }

  /** What is wrong with an answer; nothing when the route is not described or the answer is no JSON. */
  errors(method: string, url: string, status: number, contentType: string, text: string): string[] {
    if (!contentType.startsWith('application/json')) return [];
    const path = url.split('?', 1)[0]!;
    const full = /^\/(api|auth|health|openapi|docs|metrics)\b/i.test(path) ? path : `/api${path}`;
    // The one with the most fixed parts: /incomingemail/release is not an id.
    const found = this.#operations
      .filter((known) => known.method === method && known.path.test(full))
      .sort((a, b) => a.path.source.split('[').length - b.path.source.split('[').length)[0];
    if (found === undefined) return [];
    const answer = found.operation.responses[String(status)];
    if (answer === undefined) return status < 500 ? [`status ${status} is not described`] : [];
    const schema = answer.content?.['application/json']?.schema;
    return schema === undefined ? [] : this.#check(schema)(JSON.parse(text));
  }

  #check(schema: object): Check {
    let check = this.#checks.get(schema);
    if (check === undefined) {
      const local = JSON.parse(
        JSON.stringify({ ...schema, $defs: this.#definitions }).replaceAll(
          '#/components/schemas/',
          '#/$defs/',
        ),
      ) as object;
      const validator = Compile(local);
      check = (body) =>
        validator.Check(body)
          ? []
          : validator.Errors(body)[1].map(({ instancePath, message }) => `${instancePath} ${message}`);
      this.#checks.set(schema, check);
    }
    return check;
  }
}
