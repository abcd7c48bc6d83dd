/** Takes JSON under all content types that Halo declares. */
import type { FastifyInstance } from 'fastify';

/**
 * `__proto__` and `constructor.prototype` in a body are refused with 400 (failures 24): the parser checks the text
 * before any object is made of it.
 */
export function acceptBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  for (const type of ['application/json', 'text/json', /^application\/[\w.!#$&^-]{1,100}\+json/i]) {
    app.addContentTypeParser(type, { parseAs: 'string' }, (request, body, done) => {
      // A body without bytes is no body: calls that need one say so by their schema.
      if (body.length === 0) done(null, undefined);
      else void parse(request, body as string, done);
    });
  }
}
