/** Errors in the shapes in which Google's API gives them. */
import type { LabAnswer } from '../http/answer.ts';

const STATUS: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** `detail` is the reason of an ErrorInfo, which newer errors have besides. */
export function apiError(code: number, reason: string, message: string, detail?: string): LabAnswer {
  return {
    status: code,
    body: {
      error: {
        code,
        message,
        errors: [{ message, domain: 'global', reason }],
        status: STATUS[code] ?? 'UNKNOWN',
        ...(detail === undefined
          ? {}
          : {
              details: [
                {
                  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
                  reason: detail,
                  domain: 'googleapis.com',
                },
              ],
            }),
      },
    },
  };
}

export const NOT_FOUND = apiError(404, 'notFound', 'Requested entity was not found.');
export const invalidLabel = (id: string): LabAnswer =>
  apiError(400, 'invalidArgument', `Invalid label: ${id}`);
