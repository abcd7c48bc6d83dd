/**
 * A site with mailboxes of every kind behind TLS, each of which lets in whoever has a token of one authorization server.
 */
import { generateKeyPairSync } from 'node:crypto';
import { onTestFinished } from 'vitest';
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
import { Site } from './site.ts';

export const DESK = 'desk@example.org';
const SECRET = 'the-client-secret';
const ACCOUNT = 'penstock@lab.iam.example';

export interface OauthSite {
  site: Site;
  oauth: LabOauthServer;
  graph: LabGraphServer;
  gmail: LabGmailServer;
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
  /** How many messages are in the inbox. */
  inInbox(kind: SourceKind): number;
}

/** Everything ends with the test. */
export async function startOauthSite(): Promise<OauthSite> {
  const site = await Site.start({ backend: 'postgres' });
  const oauth = await startOauth();
  const certificate = labCertificate();
  const holderOf = (token: string) => oauth.grants.holderOf(token);
  const graph = new LabGraphServer({
    certificate,
    grantOf: (token) =>
      holderOf(token)?.scope.startsWith('https://graph.')
        ? { roles: new Set(['read', 'write', 'send']), mailboxes: null }
        : null,
  });
  const gmail = new LabGmailServer({
    certificate,
    callerOf(token) {
      const holder = holderOf(token);
      return holder?.user ? { user: holder.user, scope: holder.scope } : null;
    },
  });
  const imap = new LabImapServer({ certificate, tls: 'implicit' });
  const pop3 = new LabPop3Server({ certificate, tls: 'implicit', store: imap.store });
  await Promise.all([graph.start(), gmail.start(), imap.start(), pop3.start()]);
  onTestFinished(async () => {
    for (const { faults } of [graph, gmail, imap, pop3]) faults.clear();
    await Promise.all([graph.stop(), gmail.stop(), imap.stop(), pop3.stop()]);
  });
  graph.addMailbox(DESK);
  const onGmail = gmail.addUser(DESK);
  imap.addUser(DESK, { accepts: (token) => holderOf(token)?.scope.includes('outlook.office') === true });

  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
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
      else imap.deliver(DESK, 'INBOX', bytes);
    },
    inInbox(kind) {
      if (kind === 'graph') return graph.mailbox(DESK).folder('inbox')!.messages.length;
      return kind === 'gmail' ? onGmail.withLabels(['INBOX'], false).length : imap.messages(DESK).length;
    },
  };
}
