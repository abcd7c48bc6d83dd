/** What each call of the lab's Gmail API does to a mailbox. */
import type { LabAnswer } from '../http/answer.ts';
import { apiError, invalidLabel, NOT_FOUND } from './errors.ts';
import type { LabMailbox, LabMessage, LabRecord } from './mail-store.ts';
import { isFound, metadataOf } from './sending.ts';

export interface LabCall {
  method: string;
  /** Below `/gmail/v1/users/<user>/`. */
  path: string;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

interface Route {
  name: string;
  method: string;
  path: RegExp;
  scope: 'read' | 'modify' | 'full';
  /** Units that Google counts. */
  units: number;
  handle(mailbox: LabMailbox, call: LabCall, id: string): LabAnswer;
}

const ok = (body: unknown): LabAnswer => ({ status: 200, body });
const ID = /^[0-9a-f]{1,16}$/;

export const ROUTES: readonly Route[] = [
  route('profile', 'GET', /^profile$/, 'read', 1, (mailbox) =>
    ok({
      emailAddress: mailbox.address,
      messagesTotal: mailbox.messages.size,
      threadsTotal: mailbox.messages.size,
      historyId: String(mailbox.historyId),
    }),
  ),
  route('labels', 'GET', /^labels$/, 'read', 1, (mailbox) => ok({ labels: [...mailbox.labels.values()] })),
  route('label', 'GET', /^labels\/([^/]+)$/, 'read', 1, (mailbox, _call, id) => {
    const label = mailbox.labels.get(id);
    if (label === undefined) return NOT_FOUND;
    const found = mailbox.withLabels([id], true);
    return ok({ ...label, messagesTotal: found.length, messagesUnread: 0 });
  }),
  route('createLabel', 'POST', /^labels$/, 'modify', 5, (mailbox, { body }) => {
    const name = String(body.name ?? '');
    if (name === '' || name.length > 225) return apiError(400, 'invalidArgument', 'Invalid label name');
    const label = mailbox.addLabel(name);
    return label === null ? apiError(409, 'aborted', 'Label name exists or conflicts') : ok(label);
  }),
  route('list', 'GET', /^messages$/, 'read', 5, listMessages),
  route('history', 'GET', /^history$/, 'read', 2, listHistory),
  route('get', 'GET', /^messages\/([^/]+)$/, 'read', 20, getMessage),
  route('modify', 'POST', /^messages\/([^/]+)\/modify$/, 'modify', 5, (mailbox, { body }, id) =>
    onMessage(mailbox, id, (message) => {
      const add = texts(body.addLabelIds);
      const remove = texts(body.removeLabelIds);
      const unknown = [...add, ...remove].find((label) => !mailbox.labels.has(label));
      if (unknown !== undefined) return invalidLabel(unknown);
      if (add.some((label) => remove.includes(label))) {
        return apiError(400, 'invalidArgument', 'Cannot both add and remove the same label');
      }
      mailbox.modify(message, add, remove);
      return ok({ id, threadId: id, labelIds: [...message.labels] });
    }),
  ),
  route('batchModify', 'POST', /^messages\/batchModify$/, 'modify', 50, (mailbox, { body }) => {
    // Promises nothing about messages that are not there.
    for (const id of texts(body.ids)) {
      const message = mailbox.messages.get(id);
      if (message) mailbox.modify(message, texts(body.addLabelIds), texts(body.removeLabelIds));
    }
    return { status: 204 };
  }),
  route('trash', 'POST', /^messages\/([^/]+)\/trash$/, 'modify', 5, (mailbox, _call, id) =>
    onMessage(mailbox, id, (message) => {
      mailbox.modify(message, ['TRASH'], ['INBOX']);
      return ok({ id, threadId: id, labelIds: [...message.labels] });
    }),
  ),
  route('delete', 'DELETE', /^messages\/([^/]+)$/, 'full', 10, (mailbox, _call, id) =>
    mailbox.delete(id) ? { status: 204 } : NOT_FOUND,
  ),
];

function route(
  name: string,
  method: string,
  path: RegExp,
  scope: Route['scope'],
  units: number,
  handle: Route['handle'],
): Route {
  return { name, method, path, scope, units, handle };
}

function onMessage(mailbox: LabMailbox, id: string, act: (message: LabMessage) => LabAnswer): LabAnswer {
  if (!ID.test(id)) return apiError(400, 'invalidArgument', 'Invalid id value');
  const message = mailbox.messages.get(id);
  return message === undefined ? NOT_FOUND : act(message);
}

function listMessages(mailbox: LabMailbox, { query }: LabCall): LabAnswer {
  const labels = query.getAll('labelIds');
  const search = query.get('q');
  const unknown = labels.find((label) => !mailbox.labels.has(label));
  if (unknown !== undefined) return invalidLabel(unknown);
  const found = mailbox
    .withLabels(labels, query.get('includeSpamTrash') === 'true')
    .filter((message) => search === null || isFound(message, search));
  const { slice, next } = paged(found, query);
  return ok({
    // Left out when there are none, as Gmail does.
    ...(slice.length === 0 ? {} : { messages: slice.map(({ id }) => ({ id, threadId: id })) }),
    ...next,
    resultSizeEstimate: Math.min(found.length, 201),
  });
}

function listHistory(mailbox: LabMailbox, { query }: LabCall): LabAnswer {
  const start = query.get('startHistoryId') ?? '';
  if (!/^\d{1,20}$/.test(start)) return apiError(400, 'invalidArgument', 'Invalid startHistoryId');
  if (!mailbox.reaches(BigInt(start))) return NOT_FOUND;
  const types = query.getAll('historyTypes').map((type) => HISTORY_KINDS[type]);
  const labelId = query.get('labelId');
  const found = mailbox.history
    .filter((record) => record.id > BigInt(start))
    .filter((record) => types.length === 0 || types.includes(record.kind))
    .filter((record) => labelId === null || concerns(record, labelId));
  const { slice, next } = paged(found, query);
  return ok({
    ...(slice.length === 0 ? {} : { history: slice.map(historyRecord) }),
    ...next,
    historyId: String(mailbox.historyId),
  });
}

const HISTORY_KINDS: Readonly<Record<string, LabRecord['kind']>> = {
  messageAdded: 'messagesAdded',
  messageDeleted: 'messagesDeleted',
  labelAdded: 'labelsAdded',
  labelRemoved: 'labelsRemoved',
};

function concerns({ labels, labelsAfter }: LabRecord, labelId: string): boolean {
  return labels.includes(labelId) || labelsAfter.includes(labelId);
}

function historyRecord({ id, kind, messageId, labels, labelsAfter }: LabRecord): unknown {
  const message = { id: messageId, threadId: messageId, labelIds: labelsAfter };
  const entry =
    kind === 'labelsAdded' || kind === 'labelsRemoved' ? { message, labelIds: labels } : { message };
  return { id: String(id), messages: [{ id: messageId, threadId: messageId }], [kind]: [entry] };
}

function getMessage(mailbox: LabMailbox, { query }: LabCall, id: string): LabAnswer {
  return onMessage(mailbox, id, (message) => {
    const all: Record<string, unknown> = {
      id,
      threadId: id,
      labelIds: [...message.labels],
      snippet: 'It says "raw" here, and \\ there',
      sizeEstimate: message.sizeEstimate,
      ...(query.get('format') === 'metadata'
        ? { payload: metadataOf(message, query.getAll('metadataHeaders')) }
        : {}),
      ...(query.get('format') === 'raw' ? { raw: padded(message.raw) } : {}),
      historyId: String(mailbox.historyId),
      internalDate: String(message.internalDate),
    };
    const fields = query.get('fields')?.split(',');
    if (fields === undefined) return ok(all);
    return ok(Object.fromEntries(Object.entries(all).filter(([name]) => fields.includes(name))));
  });
}

/** Base64url with its padding, as Gmail sends it. */
function padded(raw: Buffer): string {
  return raw.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

function paged<T>(
  all: readonly T[],
  query: URLSearchParams,
): { slice: T[]; next: { nextPageToken?: string } } {
  const size = Math.min(Number(query.get('maxResults') ?? 100), 500);
  const start = Number(query.get('pageToken') ?? 0);
  const end = start + size;
  return { slice: all.slice(start, end), next: end < all.length ? { nextPageToken: String(end) } : {} };
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
