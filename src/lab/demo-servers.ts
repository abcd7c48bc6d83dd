/** The demo's mail servers: one of each kind with an empty mailbox, and how a client adds that mailbox to Penstock. */
import { generateKeyPairSync } from 'node:crypto';
import { type Certificate, makeCertificate } from './certificate.ts';
import { LabGmailServer } from './gmail/server.ts';
import { LabGraphServer } from './graph/server.ts';
import { LabFront } from './http/front.ts';
import { LabImapServer } from './imap/server.ts';
import { LabOauthServer } from './oauth/server.ts';
import { LabPop3Server } from './pop3/server.ts';

export interface DemoMailbox {
  kind: 'IMAP' | 'POP3' | 'Graph' | 'Gmail';
  /** What a client posts to /api/Mailbox, without the name. */
  item(): Record<string, unknown>;
  /** Puts a message into the inbox, and returns its id there, as records show it. */
  deliver(bytes: Buffer): string;
  /** How Penstock hears of new mail at this moment. */
  told(): 'IDLE' | 'notifications' | 'polling';
}

const PASSWORD = 'demo';
const APPLICATION = { id: 'penstock-demo', secret: 'demo-secret', tenant: 'lab-tenant' };
const ACCOUNT = 'penstock@demo.iam.example';
const GMAIL_SCOPE = 'https://www.googleapis.com/auth/gmail.modify';
const GRAPH_SCOPE = 'https://graph.microsoft.com/.default';
/** Those that cannot tell of mail are asked this often. */
const POLL_SECONDS = 2;

export class DemoServers {
  /** One of each kind. All hold mail to the same address. */
  readonly mailboxes: readonly DemoMailbox[];
  readonly #certificate: Certificate;
  readonly #imap: LabImapServer;
  readonly #pop3: LabPop3Server;
  readonly #graph: LabGraphServer;
  readonly #gmail: LabGmailServer;
  readonly #oauth: LabOauthServer;
  readonly #front: LabFront;
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
    const certificate = makeCertificate({ names: ['localhost', '127.0.0.1'] });
    this.#certificate = certificate;
    this.#imap = new LabImapServer({ certificate, tls: 'implicit' });
    // A person may run an audit while the poller has a session; most servers have no objection.
    this.#pop3 = new LabPop3Server({ certificate, tls: 'starttls', exclusive: false });
    this.#oauth = new LabOauthServer({ certificate });
    this.#front = new LabFront({ certificate });
    const holderOf = (token: string) => this.#oauth.grants.holderOf(token);
    this.#graph = new LabGraphServer({
      certificate,
      notificationCa: certificate.cert,
      grantOf: (token) =>
        holderOf(token)?.scope === GRAPH_SCOPE
          ? { roles: new Set(['read', 'write'] as const), mailboxes: null }
          : null,
    });
    this.#gmail = new LabGmailServer({
      certificate,
      callerOf(token) {
        const holder = holderOf(token);
        return holder?.user ? { user: holder.user, scope: holder.scope } : null;
      },
    });
    this.mailboxes = [this.#imapMailbox(), this.#pop3Mailbox(), this.#graphMailbox(), this.#gmailMailbox()];
  }

  /** Where providers reach the daemon. */
  get publicUrl(): string {
    return this.#front.origin;
  }

  async start(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.start()));
  }

  /** Lets notifications through to the daemon. */
  open(daemonUrl: string): void {
    this.#front.target = daemonUrl;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.stop()));
  }

  #all() {
    return [this.#imap, this.#pop3, this.#graph, this.#gmail, this.#oauth, this.#front];
  }

  #imapMailbox(): DemoMailbox {
    const [server, user] = [this.#imap, this.#address];
    server.addUser(user, { password: PASSWORD });
    return {
      kind: 'IMAP',
      item: () => ({
        ...this.#byPassword(1, server.port),
        tlstype: 2,
        penstock: { after: 'seen', poll_seconds: POLL_SECONDS, tls_ca: this.#certificate.cert },
      }),
      deliver: (bytes) => String(server.deliver(user, 'INBOX', bytes).uid),
      told: () => 'IDLE',
    };
  }

  #pop3Mailbox(): DemoMailbox {
    const [server, user] = [this.#pop3, this.#address];
    server.addUser(user, { password: PASSWORD });
    return {
      kind: 'POP3',
      item: () => ({
        ...this.#byPassword(0, server.port),
        tlstype: 3,
        penstock: { after: 'leave', poll_seconds: POLL_SECONDS, tls_ca: this.#certificate.cert },
      }),
      deliver: (bytes) => String(server.deliver(user, bytes).uid),
      told: () => 'polling',
    };
  }

  #graphMailbox(): DemoMailbox {
    const [server, user] = [this.#graph, this.#address];
    server.addMailbox(user);
    const { id, secret, tenant } = APPLICATION;
    this.#oauth.grants.clients.set(id, { secret });
    return {
      kind: 'Graph',
      item: () => ({
        type: 3,
        azureemail: user,
        azureappid: id,
        azuretenant: tenant,
        azure_authentication_type: 1,
        new_client_secret: secret,
        graph_host: server.host,
        penstock: {
          after: 'seen',
          poll_seconds: POLL_SECONDS,
          tls_ca: this.#certificate.cert,
          oauth: { token_url: this.#oauth.microsoftUrl('token') },
        },
      }),
      deliver: (bytes) => server.deliver(user, bytes).immutableId,
      told: () => (server.subscriptions.all.size > 0 ? 'notifications' : 'polling'),
    };
  }

  #gmailMailbox(): DemoMailbox {
    const mailbox = this.#gmail.addUser(this.#address);
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#oauth.grants.serviceAccounts.set(ACCOUNT, {
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
      scopes: [GMAIL_SCOPE],
      users: [mailbox.address],
    });
    return {
      kind: 'Gmail',
      item: () => ({
        type: 4,
        server: 'localhost',
        popport: this.#gmail.port,
        google_email: mailbox.address,
        google_type: 2,
        penstock: {
          after: 'seen',
          poll_seconds: POLL_SECONDS,
          tls_ca: this.#certificate.cert,
          private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
          oauth: { client_id: ACCOUNT, token_url: this.#oauth.googleTokenUrl },
        },
      }),
      deliver: (bytes) => mailbox.add(bytes, ['INBOX', 'UNREAD']).id,
      told: () => 'polling',
    };
  }

  #byPassword(type: 0 | 1, port: number): Record<string, unknown> {
    return {
      type,
      server: 'localhost',
      popport: port,
      usetls: true,
      username: this.#address,
      password: PASSWORD,
      imapleavemailininbox: true,
    };
  }
}
