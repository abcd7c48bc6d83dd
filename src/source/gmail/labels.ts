/** Labels as folders: which one a name means, and which messages of it count as its mail. Pure. */

export interface Label {
  id: string;
  name: string;
}

/** Not in the list of labels; moving there only takes the message out of its folder. */
export const ARCHIVE = 'archive';

/** The label of a name: exactly, else whatever its case, as Gmail does not tell those apart. Null when there is none. */
export function findLabel(labels: readonly Label[], name: string): Label | null {
  const exact = labels.find((label) => label.name === name);
  const folded = name.toLowerCase();
  return exact ?? labels.find((label) => label.name.toLowerCase() === folded) ?? null;
}

/**
 * Labels whose messages are no mail of another folder that they are in: drafts and chats never, what was deleted or is
 * spam neither. Own sent mail gets the labels of its conversation, so it does not count either, but in the inbox it has
 * arrived.
 */
export function isMailOf(folder: string, labels: readonly string[]): boolean {
  if (!labels.includes(folder)) return false;
  const isHidden = ['DRAFT', 'CHAT', 'SPAM', 'TRASH'].some(
    (other) => other !== folder && labels.includes(other),
  );
  if (isHidden) return false;
  return folder === 'SENT' || !labels.includes('SENT') || labels.includes('INBOX');
}

/** Whether spam and what was deleted must be asked for. */
export const includesSpamTrash = (folder: string): boolean => folder === 'SPAM' || folder === 'TRASH';

/** Sets of labels; messages that have all of one of them are left out of a listing of `folder`. */
export function excludedSets(folder: string): { labels: string[]; unless: string | null }[] {
  const sets = ['DRAFT', 'CHAT']
    .filter((other) => other !== folder)
    .map((other) => ({ labels: [folder, other], unless: null as string | null }));
  if (folder !== 'SENT' && folder !== 'INBOX') sets.push({ labels: [folder, 'SENT'], unless: 'INBOX' });
  return sets;
}
