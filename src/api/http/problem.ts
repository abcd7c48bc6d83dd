/**
 * Errors as clients see them. Halo's own error body is not documented; this one carries every property that known
 * clients look for (halo-api.md 1.10), and our code, hint and request id beside them.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { type ErrorCode, type ErrorFields, fail, PenstockError } from '../../errors.ts';
import type { Events } from '../../observe/events.ts';

export const ProblemBody = Type.Object(
  {
    ClassName: Type.String({ description: 'Kind of error, e.g. ValidationException.' }),
    Message: Type.String({ description: 'What happened, in one sentence.' }),
    error: Type.String({ description: 'Kind of error for programs; validation_error for a wrong value.' }),
    code: Type.String({ description: "Penstock's own code of the error." }),
    hint: Type.String({ description: 'What to do about it.' }),
    request_id: Type.String({ description: 'Also in the answer header x-request-id and in the log.' }),
    details: Type.Array(
      Type.Object({
        index: Type.Optional(Type.Integer({ description: 'Which item of a posted array, from 0.' })),
        field: Type.String(),
        message: Type.String(),
      }),
    ),
  },
  { title: 'Error' },
);
type ProblemBody = Static<typeof ProblemBody>;

/** One thing that is wrong with a request. */
export interface Detail {
  index?: number;
  field: string;
  message: string;
}

/** A request that cannot be taken as it is, with everything that was found wrong with it. */
export class InvalidRequest extends PenstockError {
  readonly details: Detail[];

  constructor(details: Detail[], code: ErrorCode = 'validation_failed') {
    const first = details[0]!;
    const place = first.index === undefined ? '' : `item ${first.index}: `;
    super(code, `${place}${first.field === '' ? '' : `${first.field} `}${first.message}`);
    this.details = details;
  }
}

/** Shorthand for one wrong field. */
export function invalid(field: string, message: string, index?: number): InvalidRequest {
  return new InvalidRequest([index === undefined ? { field, message } : { index, field, message }]);
}

/** Names the item of a posted array in an error that was thrown while it was worked on. */
export function atItem(thrown: unknown, index: number): unknown {
  if (thrown instanceof InvalidRequest) {
    return new InvalidRequest(
      thrown.details.map((detail) => ({ ...detail, index })),
      thrown.code,
    );
  }
  if (!(thrown instanceof PenstockError) || thrown.status >= 500) return thrown;
  return fail(thrown.code, `item ${index}: ${thrown.message}`, { ...thrown.fields, index }, thrown);
}

const CLASS_NAMES: Partial<Record<ErrorCode, string>> = {
  validation_failed: 'ValidationException',
  rule_invalid: 'ValidationException',
  unsupported: 'ValidationException',
};
const WRONG_VALUE: readonly ErrorCode[] = ['validation_failed', 'rule_invalid'];

/** The body for an error of ours. */
function problemBody(error: PenstockError, requestId: string): ProblemBody {
  const { code, message, hint } = error;
  return {
    ClassName:
      CLASS_NAMES[code] ?? `${code.replace(/(^|_)([a-z])/g, (_, __, c) => c.toUpperCase())}Exception`,
    Message: message,
    error: WRONG_VALUE.includes(code) ? 'validation_error' : code,
    code,
    hint,
    request_id: requestId,
    details: detailsOf(error),
  };
}

function detailsOf(error: PenstockError): Detail[] {
  if (error instanceof InvalidRequest) return error.details;
  const { field, index } = error.fields as ErrorFields;
  if (typeof field !== 'string' && typeof index !== 'number') return [];
  return [
    {
      ...(typeof index === 'number' ? { index } : {}),
      field: typeof field === 'string' ? field : '',
      message: error.message,
    },
  ];
}

/** Answers every error of the instance in our shape, and reports faults that are ours. */
export function handleErrors(app: FastifyInstance, events: Events): void {
  app.setErrorHandler(async (thrown: FastifyError, request, reply) => {
    const error = fromAnything(thrown);
    if (error.status >= 500) {
      events.emit('api.failed', {
        method: request.method,
        // The pattern, not the URL: what clients put into a query is no business of the log.
        path: request.routeOptions.url ?? '(unknown)',
        code: error.code,
        message: thrown.message,
      });
    }
    return await sendProblem(reply, error, request);
  });
}

/** Answers unknown routes. Counted like all requests, so must be called after the rate limit is there. */
export function handleUnknownRoutes(app: FastifyInstance): void {
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, async (request, reply) => {
    const path = request.url.split('?', 1)[0]!.slice(0, 200);
    return await sendProblem(reply, fail('not_found', `There is no ${request.method} ${path}.`), request);
  });
}

/** For errors that the framework finds before there is a route, such as a path that is no UTF-8. */
export function frameworkErrors(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(reply, fromAnything(thrown), request);
}

/** Answers with an error of ours. */
export async function sendProblem(
  reply: FastifyReply,
  error: PenstockError,
  request: FastifyRequest,
): Promise<FastifyReply> {
  if (error.status === 401) reply.header('www-authenticate', 'Bearer');
  if (error.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', '5');
  // An answer that was to be a file or a page is JSON after all.
  for (const name of ['content-disposition', 'content-length', 'etag']) reply.removeHeader(name);
  return await reply
    .code(error.status)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(problemBody(error, request.id));
}

function fromAnything(thrown: FastifyError): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  const { statusCode, code } = thrown;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413) {
    return fail('request_too_large', 'The body is larger than this call takes.', {}, thrown);
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || statusCode === 415) {
    return fail(
      'media_type_unsupported',
      'The body has a content type that this call does not take.',
      {},
      thrown,
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return fail('validation_failed', thrown.message, {}, thrown);
  }
  if (isDatabaseAway(thrown)) {
    return fail('database_unavailable', 'The database does not answer at the moment.', {}, thrown);
  }
  return fail(
    'internal',
    'Something unexpected happened; the log has the cause under this request id.',
    {},
    thrown,
  );
}

/** SQLSTATE classes 08 and 57P, conflicts of transactions that a repeat resolves, and sockets that broke. */
function isDatabaseAway(thrown: FastifyError): boolean {
  const code = String(thrown.code ?? '');
  return (
    /^(08...|57P..|53...|40001|40P01|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT)$/.test(code) ||
    /^(Connection terminated|timeout exceeded when trying to connect)/.test(thrown.message)
  );
}
