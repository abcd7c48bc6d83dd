/**
 * A site with mailboxes of every kind behind TLS, each of which lets in whoever has a token of one authorization server.
 */
import { generateKeyPairSync } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { LabMailbox as GmailMailbox } from '../../src/lab/gmail/mail-store.ts';
import { LabGmailServer } from '../../src/lab/gmail/server.ts';
import { LabGraphServer } from '../../src/lab/graph/server.ts';
import { LabImapServer } from '../../src/lab/imap/server.ts';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { LabPop3Server } from '../../src/lab/pop3/server.ts';
import type { LoginSecrets } from '../../src/mailbox-credential.ts';
import { secretOwner } from '../../src/mailbox-source.ts';
import { GMAIL_API_SCOPE } from '../../src/source/oauth/authority.ts';
import type { SourceKind } from '../../src/source/source.ts';
import {
  checkMailboxSettings,
  defaultMailboxSettings,
  defaultOauthSettings,
  type MailboxSettings,
  type OauthSettings,
} from '../../src/store/mailbox-settings.ts';
import { createMailbox, type Mailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { labCertificate } from './graph-lab.ts';
import { startOauth } from './oauth.ts';
import { type Backend, Site } from './site.ts';

export const KINDS: readonly SourceKind[] = ['imap', 'pop3', 'graph', 'gmail'];

/** The strongest that each kind can do on its server. */
export const EFFECTS: Record<SourceKind, Partial<MailboxSettings>> = {
  imap: { after: 'move', afterFolder: 'Done' },
  pop3: { after: 'delete' },
  graph: { after: 'move', afterFolder: 'Done' },
  gmail: { after: 'move', afterFolder: 'Done' },
};

export const DESK = 'desk@example.org';
const SECRET = 'the-client-secret';
const ACCOUNT = 'penstock@lab.iam.example';

export interface OauthSite {
  site: Site;
  oauth: LabOauthServer;
  graph: LabGraphServer;
  gmail: LabGmailServer;
  /** The mailbox of {@link DESK} there. */
  onGmail: GmailMailbox;
  imap: LabImapServer;
  pop3: LabPop3Server;
  /** How {@link DESK} is reached and logged in to over each kind. */
  login(kind: SourceKind): {
    server: Partial<MailboxSettings['server']> & { host: string; port: number; tlsCa: string };
    oauth: Partial<OauthSettings>;
    secrets: LoginSecrets;
  };
  addMailbox(kind: SourceKind, changes?: Partial<MailboxSettings>): Promise<Mailbox>;
  deliver(kind: SourceKind, bytes: Buffer): void;
  /** What is in the inbox, byte for byte. */
  inInbox(kind: SourceKind): Buffer[];
  /** Another client deletes the messages with this text in them. */
  remove(kind: SourceKind, text: string): void;
  /** The access token that the server of this kind saw last is good no more. */
  endToken(kind: SourceKind): void;
  /** The server forgets what it had told us: UIDVALIDITY, unique-ids, delta tokens, history. Messages stay. */
  loseCursor(kind: SourceKind): void;
}

let serviceKeys: ReturnType<typeof generateKeyPairSync> | undefined;

/** Everything ends with the test. */
export async function startOauthSite(backend: Backend = 'postgres'): Promise<OauthSite> {
  const site = await Site.start({ backend });
  // None is lost on a busy machine; whoever dies with one is helped by passTime.
  site.env.PENSTOCK_LEASE_SECONDS = '30';
  const oauth = await startOauth();
  const certificate = labCertificate();
  const inUse = new Map<SourceKind, string>();
  const ended = new Set<string>();
  const holderOf = (kind: SourceKind, token: string) => {
    inUse.set(kind, token);
    return ended.has(token) ? null : oauth.grants.holderOf(token);
  };
  const graph = new LabGraphServer({
    notificationCa: certificate.cert,
    certificate,
    grantOf(token) {
      const holder = holderOf('graph', token);
      if (!holder?.scope.startsWith('https://graph.')) return null;
      // A person opens their own mailbox, an application all of them.
      const mailboxes = holder.user === null ? null : new Set([holder.user]);
      return { roles: new Set(['read', 'write', 'send']), mailboxes };
    },
  });
  const gmail = new LabGmailServer({
    certificate,
    callerOf(token) {
      const holder = holderOf('gmail', token);
      return holder?.user ? { user: holder.user, scope: holder.scope } : null;
    },
  });
  const imap = new LabImapServer({ certificate, tls: 'implicit' });
  let idEpoch = 1;
  const pop3 = new LabPop3Server({
    certificate,
    tls: 'implicit',
    uniqueId: ({ uid }) => `${idEpoch}.${uid}`,
  });
  await Promise.all([graph.start(), gmail.start(), imap.start(), pop3.start()]);
  onTestFinished(async () => {
    for (const { faults } of [graph, gmail, imap, pop3]) faults.clear();
    await Promise.all([graph.stop(), gmail.stop(), imap.stop(), pop3.stop()]);
  });
  graph.addMailbox(DESK);
  const onGmail = gmail.addUser(DESK);
  for (const [kind, server] of Object.entries({ imap, pop3 })) {
    const accepts = (token: string) =>
      holderOf(kind as SourceKind, token)?.scope.includes('outlook.office') === true;
    server.addUser(DESK, { password: 'the-password', accepts });
  }

  serviceKeys ??= generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keys = serviceKeys;
  oauth.grants.clients.set('app', { secret: SECRET });
  oauth.grants.serviceAccounts.set(ACCOUNT, {
    publicKey: keys.publicKey.export({ type: 'spki', format: 'pem' }) as string,
    scopes: [GMAIL_API_SCOPE],
    users: [DESK],
  });
  const scope = 'https://outlook.office.com/POP.AccessAsUser.All offline_access';
  const refreshToken = oauth.grants.issueRefreshToken(DESK, scope);
  const tlsCa = [oauth.certificate.cert, certificate.cert].join('\n');
  const application = { clientId: 'app', tenant: 'lab-tenant', tokenUrl: oauth.microsoftUrl('token') };

  const stores = { imap: imap.store, pop3: pop3.store };
  const inbox = () => graph.mailbox(DESK).folder('inbox')!;

  const login: OauthSite['login'] = (kind) => {
    switch (kind) {
      case 'graph': {
        const [host, port] = graph.host.split(':');
        const secrets = { client_secret: SECRET };
        const settings = { ...application, grant: 'client_credentials' as const };
        return { server: { host: host!, port: Number(port), tlsCa }, oauth: settings, secrets };
      }
      case 'gmail': {
        const { hostname, port } = new URL(gmail.rootUrl);
        const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
        const settings = {
          grant: 'service_account' as const,
          clientId: ACCOUNT,
          tokenUrl: oauth.googleTokenUrl,
        };
        const secrets = { private_key: privateKey };
        return { server: { host: hostname, port: Number(port), tlsCa }, oauth: settings, secrets };
      }
      case 'imap': {
        const server = { host: '127.0.0.1', port: imap.port, tlsCa };
        const settings = { ...application, grant: 'client_credentials' as const };
        return { server, oauth: settings, secrets: { client_secret: SECRET } };
      }
      case 'pop3': {
        const server = { host: '127.0.0.1', port: pop3.port, tlsCa };
        return {
          server,
          oauth: application,
          secrets: { client_secret: SECRET, refresh_token: refreshToken },
        };
      }
    }
  };
  return {
    site,
    oauth,
    graph,
    gmail,
    onGmail,
    imap,
    pop3,
    login,
    async addMailbox(kind, changes = {}) {
      const { server, oauth: credential, secrets } = login(kind);
      const base = defaultMailboxSettings(server.host, DESK, kind);
      const settings: MailboxSettings = {
        ...base,
        pollSeconds: 1,
        server: { ...base.server, ...server, auth: 'oauth' },
        oauth: { ...defaultOauthSettings(kind === 'gmail' ? 'google' : 'microsoft'), ...credential },
        ...changes,
      };
      checkMailboxSettings(settings, kind);
      const { db, keys: ring } = site.runtime;
      return await db.transaction().execute(async (tx) => {
        const mailbox = await createMailbox(tx, { name: kind, kind, enabled: true, settings, halo: {} });
        for (const [name, value] of Object.entries(secrets)) {
          await writeSecret(tx, ring, secretOwner(mailbox.id), name, value);
        }
        return mailbox;
      });
    },
    deliver(kind, bytes) {
      site.delivered.push({ user: kind, uid: site.delivered.length + 1, bytes });
      if (kind === 'graph') graph.deliver(DESK, bytes);
      else if (kind === 'gmail') onGmail.add(bytes, ['INBOX', 'UNREAD']);
      else stores[kind].deliver(DESK, 'INBOX', bytes);
    },
    inInbox(kind) {
      if (kind === 'graph') return inbox().messages.map(({ content }) => content.bytes());
      if (kind === 'gmail') return onGmail.withLabels(['INBOX'], false).map(({ raw }) => raw);
      return stores[kind].folder(DESK, 'INBOX').messages.map(({ content }) => content.bytes());
    },
    remove(kind, text) {
      if (kind === 'graph') {
        for (const message of inbox().messages)
          if (message.content.bytes().includes(text)) graph.mailbox(DESK).remove(message);
      } else if (kind === 'gmail') {
        for (const { id, raw } of [...onGmail.messages.values()]) if (raw.includes(text)) onGmail.delete(id);
      } else {
        const folder = stores[kind].folder(DESK, 'INBOX');
        folder.remove(new Set(folder.messages.filter(({ content }) => content.bytes().includes(text))));
      }
    },
    endToken: (kind) => void ended.add(inUse.get(kind)!),
    loseCursor(kind) {
      if (kind === 'graph') graph.delta.expire();
      else if (kind === 'gmail') onGmail.expireHistory();
      else if (kind === 'imap') imap.bumpUidValidity(DESK, 'INBOX');
      else idEpoch += 1;
    },
  };
}
