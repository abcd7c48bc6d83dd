/** Another mail client at the same mailbox: looks at it, and changes it behind the back of the code under test. */
import { ImapFlow } from 'imapflow';

export interface Seen {
  uid: number;
  subject: string;
  seen: boolean;
  deleted: boolean;
  bytes: Buffer;
}

export interface Account {
  port: number;
  user: string;
  password: string;
}

/** Runs `work` with a client that is logged in, and ends the client. */
export async function asOtherClient<T>(account: Account, work: (client: ImapFlow) => Promise<T>): Promise<T> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: account.port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: account.user, pass: account.password },
    logger: false,
    disableAutoIdle: true,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.logout();
  }
}

/** Everything in a folder, in order. */
export async function lookInto(account: Account, folder: string): Promise<Seen[]> {
  return asOtherClient(account, async (client) => {
    const { exists } = await client.mailboxOpen(folder, { readOnly: true });
    if (exists === 0) return [];
    const rows = await client.fetchAll('1:*', { uid: true, flags: true, source: true, envelope: false });
    return rows.map(({ uid, flags, source }) => {
      const bytes = source as Buffer;
      return {
        uid,
        subject: /^Subject: (.*?)\r?$/m.exec(bytes.toString('latin1'))?.[1] ?? '',
        seen: flags?.has('\\Seen') ?? false,
        deleted: flags?.has('\\Deleted') ?? false,
        bytes,
      };
    });
  });
}

/** Deletes the messages with this subject for good. */
export async function removeBySubject(account: Account, folder: string, subject: string): Promise<void> {
  const uids = (await lookInto(account, folder))
    .filter((seen) => seen.subject === subject)
    .map(({ uid }) => uid);
  await asOtherClient(account, async (client) => {
    await client.mailboxOpen(folder);
    await client.messageDelete(uids.join(','), { uid: true });
  });
}
