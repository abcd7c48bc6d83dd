/** The parts of Graph's answers that we read, by their names in its v1.0 metadata. Nothing is sure to be there. */

export interface GraphMessage {
  id?: string;
  parentFolderId?: string;
  /** An ISO instant, without fractions of a second. */
  receivedDateTime?: string;
  isRead?: boolean;
  singleValueExtendedProperties?: { id?: string; value?: string }[];
  /** In a delta: the message has left the folder. */
  '@removed'?: { reason?: string };
}

export interface GraphFolder {
  id?: string;
  displayName?: string;
  totalItemCount?: number;
}

export interface GraphPage<T> {
  value?: T[];
  '@odata.nextLink'?: string;
  '@odata.deltaLink'?: string;
}
