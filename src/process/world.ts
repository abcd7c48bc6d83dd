/**
 * What a batch of messages may be related to, in memory: tickets, stored messages, requesters. Read once from
 * the database, then kept up to date while the batch is decided message by message, so that a later one sees
 * what an earlier one did. New tickets and requesters have negative ids until they are written.
 */
import type { MessageIdRow, RequesterRow, TicketRow } from '../store/tickets.ts';
import { comparableAddress } from '../ticket/requester.ts';
import { comparableSubject } from '../ticket/subject.ts';

export interface WorldTicket {
  id: number;
  mailboxId: number | null;
  subject: string;
  open: boolean;
  assigned: boolean;
  alertKey: string | null;
  supplierReference: string | null;
  requesterId: number | null;
  requesterAddress: string | null;
  participants: string[];
}

export class World {
  readonly #tickets = new Map<number, WorldTicket>();
  readonly #alerts = new Map<string, WorldTicket>();
  readonly #supplier = new Map<string, WorldTicket>();
  readonly #messages = new Map<string, MessageIdRow[]>();
  readonly #requesters = new Map<number, RequesterRow>();
  readonly #requestersByAddress = new Map<string, RequesterRow[]>();
  #nextId = -1;

  constructor(facts: { tickets: TicketRow[]; messages: MessageIdRow[]; requesters: RequesterRow[] }) {
    for (const row of facts.tickets) this.addTicket({ ...row, assigned: row.assignedAgentId > 0 });
    for (const row of facts.messages) this.addMessage(row);
    for (const row of facts.requesters) this.#addRequester(row);
  }

  ticket(id: number | null): WorldTicket | null {
    return id === null ? null : (this.#tickets.get(id) ?? null);
  }

  tickets(ids: readonly number[]): WorldTicket[] {
    return ids.flatMap((id) => this.#tickets.get(id) ?? []);
  }

  openAlert(key: string | null): WorldTicket | null {
    const ticket = key === null ? undefined : this.#alerts.get(key);
    return ticket?.open === true ? ticket : null;
  }

  bySupplierReference(reference: string | null): WorldTicket | null {
    return reference === null ? null : (this.#supplier.get(reference) ?? null);
  }

  bySubjectAndSender(wanted: { subject: string; address: string }): number[] {
    return [...this.#tickets.values()]
      .filter((ticket) => ticket.open && ticket.requesterAddress?.toLowerCase() === wanted.address)
      .filter((ticket) => comparableSubject(ticket.subject) === wanted.subject)
      .map((ticket) => ticket.id);
  }

  /** Stored messages with this Message-ID, other than the record itself. */
  messages(messageId: string, exceptEmailId: number): MessageIdRow[] {
    return (this.#messages.get(messageId) ?? []).filter((row) => row.emailId !== exceptEmailId);
  }

  get requesters(): RequesterRow[] {
    return [...this.#requesters.values()];
  }

  /** Those that have this address, as the first or another one. */
  requestersAt(address: string): readonly RequesterRow[] {
    return this.#requestersByAddress.get(comparableAddress(address)) ?? [];
  }

  requesterAddress(id: number | null): string | null {
    return id === null ? null : (this.#requesters.get(id)?.address ?? null);
  }

  addTicket(ticket: WorldTicket): void {
    this.#tickets.set(ticket.id, ticket);
    if (ticket.alertKey !== null && ticket.open) this.#alerts.set(ticket.alertKey, ticket);
    if (ticket.supplierReference !== null) this.#supplier.set(ticket.supplierReference, ticket);
  }

  addMessage(row: MessageIdRow): void {
    const rows = this.#messages.get(row.messageId);
    if (rows === undefined) this.#messages.set(row.messageId, [row]);
    else rows.push(row);
  }

  /** A person whom the database does not know yet. */
  addRequester(person: { name: string; address: string }): number {
    const id = this.newId();
    this.#addRequester({ id, ...person, alternativeAddresses: [], login: '', isAgent: false });
    return id;
  }

  #addRequester(row: RequesterRow): void {
    this.#requesters.set(row.id, row);
    for (const address of new Set([row.address, ...row.alternativeAddresses].map(comparableAddress))) {
      const rows = this.#requestersByAddress.get(address);
      if (rows === undefined) this.#requestersByAddress.set(address, [row]);
      else rows.push(row);
    }
  }

  newId(): number {
    return this.#nextId--;
  }
}
