/** The mailbox of a lab Gmail account: messages, labels, and the history of what happened to them. */

export interface LabMessage {
  id: string;
  raw: Buffer;
  labels: Set<string>;
  /** Milliseconds. */
  internalDate: number;
  /** What the server claims; the true size unless a test changes it. */
  sizeEstimate: number;
}

export interface LabLabel {
  id: string;
  name: string;
  type: 'system' | 'user';
}

export interface LabRecord {
  id: bigint;
  kind: 'messagesAdded' | 'messagesDeleted' | 'labelsAdded' | 'labelsRemoved';
  messageId: string;
  /** Labels that were added or removed. */
  labels: string[];
  /** Labels of the message afterwards. */
  labelsAfter: string[];
}

const SYSTEM = [
  'INBOX',
  'SENT',
  'DRAFT',
  'SPAM',
  'TRASH',
  'UNREAD',
  'STARRED',
  'IMPORTANT',
  'CHAT',
  'CATEGORY_UPDATES',
];

export class LabMailbox {
  readonly address: string;
  readonly messages = new Map<string, LabMessage>();
  readonly labels = new Map<string, LabLabel>(SYSTEM.map((id) => [id, { id, name: id, type: 'system' }]));
  readonly history: LabRecord[] = [];
  /** Told after each change. */
  onChange: () => void = () => undefined;
  /** Larger than what a number can hold. */
  #historyId = 9_007_199_254_750_000n;
  #historyFloor = 0n;
  #nextMessage = 0x19a0_0000_0000_0000n;
  #nextLabel = 1;

  constructor(address: string) {
    this.address = address;
  }

  get historyId(): bigint {
    return this.#historyId;
  }

  /** Whether history reaches back to this id. */
  reaches(historyId: bigint): boolean {
    return historyId >= this.#historyFloor && historyId <= this.#historyId;
  }

  /** History up to now is dropped, as it is after a week or so. */
  expireHistory(): void {
    this.#historyId += 1n;
    this.#historyFloor = this.#historyId;
    this.history.length = 0;
  }

  add(raw: Buffer, labels: string[], internalDate = Date.now()): LabMessage {
    this.#nextMessage += 0x1111n;
    const id = this.#nextMessage.toString(16);
    const message = { id, raw, labels: new Set(labels), internalDate, sizeEstimate: raw.length };
    this.messages.set(id, message);
    this.#record('messagesAdded', message, []);
    return message;
  }

  delete(id: string): boolean {
    const message = this.messages.get(id);
    if (message === undefined) return false;
    this.messages.delete(id);
    this.#record('messagesDeleted', message, []);
    return true;
  }

  modify(message: LabMessage, add: string[], remove: string[]): void {
    const added = add.filter((label) => !message.labels.has(label));
    const removed = remove.filter((label) => message.labels.has(label));
    for (const label of added) message.labels.add(label);
    for (const label of removed) message.labels.delete(label);
    if (added.length > 0) this.#record('labelsAdded', message, added);
    if (removed.length > 0) this.#record('labelsRemoved', message, removed);
  }

  /** Null when there is one of that name. */
  addLabel(name: string): LabLabel | null {
    for (const label of this.labels.values())
      if (label.name.toLowerCase() === name.toLowerCase()) return null;
    const label: LabLabel = { id: `Label_${this.#nextLabel}`, name, type: 'user' };
    this.#nextLabel += 1;
    this.labels.set(label.id, label);
    return label;
  }

  removeLabel(id: string): void {
    this.labels.delete(id);
    for (const message of this.messages.values()) this.modify(message, [], [id]);
  }

  /** Newest first, as Gmail lists. */
  withLabels(labels: readonly string[], includeSpamTrash: boolean): LabMessage[] {
    return [...this.messages.values()]
      .filter((message) => labels.every((label) => message.labels.has(label)))
      .filter(({ labels: own }) => includeSpamTrash || !(own.has('SPAM') || own.has('TRASH')))
      .sort((a, b) => b.internalDate - a.internalDate || (a.id < b.id ? 1 : -1));
  }

  #record(kind: LabRecord['kind'], message: LabMessage, labels: string[]): void {
    this.#historyId += 7n;
    const labelsAfter = [...message.labels];
    this.history.push({ id: this.#historyId, kind, messageId: message.id, labels, labelsAfter });
    this.onChange();
  }
}
