/** What the lab's Graph answers about folders, messages and contacts. Subscriptions have a file of their own. */
import type { LabAnswer } from '../http/answer.ts';
import { created, GraphFault, noContent, ok } from './answer.ts';
import type { LabOutgoing } from './delivery.ts';
import type { DeltaTokens } from './delta.ts';
import { contactEntity, folderEntity, instant, messageEntity, select, sizeProperty } from './entities.ts';
import type { RouteName } from './faults.ts';
import { isMalformedId, type LabFolder, type LabMailbox, type LabMessage } from './mail-store.ts';
import { displayNameFilter, preferredPageSize, type Query, receivedFilter } from './query.ts';

/** A request that has been understood and may be carried out. */
export interface LabRequest {
  method: string;
  mailbox: LabMailbox;
  /** Names in the path, decoded: `folder`, `message`. */
  names: Record<string, string>;
  query: Query;
  prefer: string;
  body: Record<string, unknown>;
  /** A body that is text; null for JSON. */
  text: string | null;
  outgoing: LabOutgoing;
  host: string;
  delta: DeltaTokens;
  /** Makes a link to the same path with another query. */
  link(query: string): string;
}

export type Role = 'read' | 'write' | 'contacts' | 'send';

export interface Route {
  name: RouteName;
  method: string;
  /** Below the user; `:name` takes one segment. */
  path: string;
  role: Role;
  answer(request: LabRequest): LabAnswer;
}

const FOLDER = '/mailFolders/:folder';
const MESSAGE = '/messages/:message';
const PAGE = 10;

export const ROUTES: readonly Route[] = [
  { name: 'list-folders', method: 'GET', path: '/mailFolders', role: 'read', answer: listFolders },
  { name: 'create-folder', method: 'POST', path: '/mailFolders', role: 'write', answer: createFolder },
  { name: 'get-folder', method: 'GET', path: FOLDER, role: 'read', answer: getFolder },
  { name: 'list-folders', method: 'GET', path: `${FOLDER}/childFolders`, role: 'read', answer: listFolders },
  {
    name: 'create-folder',
    method: 'POST',
    path: `${FOLDER}/childFolders`,
    role: 'write',
    answer: createFolder,
  },
  { name: 'delta', method: 'GET', path: `${FOLDER}/messages/delta`, role: 'read', answer: listChanges },
  { name: 'list-messages', method: 'GET', path: `${FOLDER}/messages`, role: 'read', answer: listMessages },
  { name: 'get-message', method: 'GET', path: MESSAGE, role: 'read', answer: getMessage },
  { name: 'value', method: 'GET', path: `${MESSAGE}/$value`, role: 'read', answer: getValue },
  { name: 'value', method: 'GET', path: `${FOLDER}${MESSAGE}/$value`, role: 'read', answer: valueInFolder },
  { name: 'patch-message', method: 'PATCH', path: MESSAGE, role: 'write', answer: patchMessage },
  { name: 'move-message', method: 'POST', path: `${MESSAGE}/move`, role: 'write', answer: moveMessage },
  { name: 'delete-message', method: 'DELETE', path: MESSAGE, role: 'write', answer: deleteMessage },
  { name: 'list-contacts', method: 'GET', path: '/contacts', role: 'contacts', answer: listContacts },
];

function folderOf({ mailbox, names }: LabRequest): LabFolder {
  const name = names.folder;
  if (name === undefined) return mailbox.root;
  const folder =
    mailbox.folders.get(name) ??
    [...mailbox.folders.values()].find((one) => one.wellKnownName === name.toLowerCase());
  if (folder) return folder;
  if (isMalformedId(name)) throw new GraphFault(400, 'ErrorInvalidIdMalformed', 'Id is malformed.');
  throw new GraphFault(404, 'ErrorItemNotFound', 'The specified object was not found in the store.');
}

function messageOf({ mailbox, names }: LabRequest): LabMessage {
  const id = names.message ?? '';
  const message = mailbox.message(id);
  if (message) return message;
  if (isMalformedId(id)) throw new GraphFault(400, 'ErrorInvalidIdMalformed', 'Id is malformed.');
  throw new GraphFault(404, 'ErrorItemNotFound', 'The specified object was not found in the store.');
}

const wantsImmutable = ({ prefer }: LabRequest): boolean => /IdType="ImmutableId"/i.test(prefer);

function one(request: LabRequest, message: LabMessage): Record<string, unknown> {
  const { query } = request;
  const entity = select(messageEntity(message, wantsImmutable(request)), query.select);
  return query.withSize ? { ...entity, singleValueExtendedProperties: [sizeProperty(message)] } : entity;
}

/** A page of a list that is paged by offset, as all lists are but those of changes. */
function paged<T>(
  request: LabRequest,
  all: readonly T[],
  entity: (item: T) => Record<string, unknown>,
): LabAnswer {
  const { query, link } = request;
  const size = query.top ?? PAGE;
  const end = query.skip + size;
  const next = end < all.length ? { '@odata.nextLink': nextLink(link, query, size, end) } : {};
  return ok({ value: all.slice(query.skip, end).map(entity), ...next });
}

function nextLink(link: LabRequest['link'], query: Query, top: number, skip: number): string {
  const options = [`$top=${top}`, `$skip=${skip}`];
  if (query.select) options.push(`$select=${query.select.join(',')}`);
  if (query.filter) options.push(`$filter=${encodeURIComponent(query.filter)}`);
  if (query.ordered) options.push(`$orderby=receivedDateTime%20${query.descending ? 'desc' : 'asc'}`);
  return link(options.join('&'));
}

function listFolders(request: LabRequest): LabAnswer {
  const { mailbox, query } = request;
  const name = displayNameFilter(query)?.toLowerCase();
  const children = mailbox.childrenOf(folderOf(request));
  const found = children.filter(
    ({ displayName }) => name === undefined || displayName.toLowerCase() === name,
  );
  return paged(request, found, (folder) => select(folderEntity(mailbox, folder), query.select));
}

function createFolder(request: LabRequest): LabAnswer {
  const { mailbox, body } = request;
  const { displayName } = body;
  if (typeof displayName !== 'string' || displayName === '') {
    throw new GraphFault(400, 'ErrorInvalidRequest', 'A folder needs a displayName.');
  }
  const parent = folderOf(request);
  const lower = displayName.toLowerCase();
  if (mailbox.childrenOf(parent).some((folder) => folder.displayName.toLowerCase() === lower)) {
    throw new GraphFault(409, 'ErrorFolderExists', 'A folder with the specified name already exists.');
  }
  return created(folderEntity(mailbox, mailbox.addFolder(displayName, parent)));
}

function getFolder(request: LabRequest): LabAnswer {
  return ok(select(folderEntity(request.mailbox, folderOf(request)), request.query.select));
}

function listChanges(request: LabRequest): LabAnswer {
  const folder = folderOf(request);
  const { mailbox, query, prefer, delta } = request;
  const pageSize = preferredPageSize(prefer);
  const link = (options: string): string => {
    // Graph makes links of its own, with ids in brackets, whatever the client wrote.
    const path = `/users('${mailbox.objectId}')/mailFolders('${encodeURIComponent(folder.id)}')/messages/delta`;
    return request.link('').replace(/\/users.*$/, `${path}?${options}`);
  };
  return ok(delta.page(mailbox, folder, query, { pageSize, immutable: wantsImmutable(request), link }));
}

function listMessages(request: LabRequest): LabAnswer {
  const { query } = request;
  const since = receivedFilter(query);
  // Graph compares whole seconds, as it shows them.
  const time = (message: LabMessage): number => Date.parse(instant(message.receivedDateTime));
  const found = folderOf(request).messages.filter((message) => since === null || time(message) >= since);
  if (query.ordered) found.sort((left, right) => (time(left) - time(right)) * (query.descending ? -1 : 1));
  return paged(request, found, (message) => one(request, message));
}

function getMessage(request: LabRequest): LabAnswer {
  return ok(one(request, messageOf(request)));
}

function getValue(request: LabRequest): LabAnswer {
  const body = messageOf(request).content.bytes();
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body };
}

function valueInFolder(): LabAnswer {
  throw new GraphFault(405, 'ErrorInvalidRequest', 'The OData request is not supported.');
}

function patchMessage(request: LabRequest): LabAnswer {
  const { mailbox, body } = request;
  const message = messageOf(request);
  for (const name of Object.keys(body)) {
    if (name !== 'isRead')
      throw new GraphFault(400, 'ErrorInvalidProperty', `The lab cannot change ${name}.`);
  }
  mailbox.setRead(message, body.isRead === true);
  return ok(one(request, message));
}

function moveMessage(request: LabRequest): LabAnswer {
  const { mailbox, body } = request;
  const message = messageOf(request);
  const target = mailbox.folder(String(body.destinationId));
  if (!target)
    throw new GraphFault(404, 'ErrorFolderNotFound', 'The specified folder could not be found in the store.');
  mailbox.move(message, target);
  return created(one(request, message));
}

function deleteMessage(request: LabRequest): LabAnswer {
  request.mailbox.remove(messageOf(request));
  return noContent();
}

function listContacts(request: LabRequest): LabAnswer {
  const { mailbox, query } = request;
  return paged(request, mailbox.contacts, (contact) => select(contactEntity(contact), query.select));
}
