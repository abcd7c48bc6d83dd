/** Answers of the lab's Graph, in the form that the real one gives them. */
import { randomUUID } from 'node:crypto';
import type { LabAnswer } from '../http/answer.ts';

const ODATA = {
  'Content-Type': 'application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8',
};

/** Thrown by a route to answer with an error. */
export class GraphFault extends Error {
  readonly answer: LabAnswer;

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.answer = errorAnswer(status, code, message, headers);
  }
}

export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): LabAnswer {
  const date = new Date().toISOString().slice(0, 19);
  const innerError = { date, 'request-id': randomUUID(), 'client-request-id': randomUUID() };
  return { status, headers: { ...ODATA, ...headers }, body: { error: { code, message, innerError } } };
}

export const ok = (body: Record<string, unknown>): LabAnswer => ({ status: 200, headers: ODATA, body });
export const created = (body: Record<string, unknown>): LabAnswer => ({ status: 201, headers: ODATA, body });
export const noContent = (status = 204): LabAnswer => ({ status });
