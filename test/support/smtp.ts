/** A real SMTP server over TLS, whose answers a test decides. It ends with the test file. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Transport } from '../../src/send/mail.ts';
import { type SmtpServer as SmtpSettings, smtpTransport } from '../../src/send/smtp.ts';
import { onCleanup } from './cleanup.ts';
import { labCertificate } from './graph-lab.ts';

export interface Received {
  from: string;
  to: string[];
  mime: string;
  secure: boolean;
  user: string;
}

/** An answer that is no success, as `450 4.2.2 Mailbox full`. */
export type Refusal = string | null;

export interface SmtpLab {
  port: number;
  received: Received[];
  logins: string[];
  /** What the server says at each step; null: yes. `data` is asked after the whole mail came. */
  answers: {
    login(user: string, secret: string): Refusal;
    recipient(address: string): Refusal;
    data(mime: string): Refusal | 'drop' | Promise<Refusal | 'drop'>;
  };
  settings(changes?: Partial<SmtpSettings>): SmtpSettings;
  transport(changes?: Partial<SmtpSettings>): Transport;
}

export interface SmtpLabOptions {
  secure?: boolean;
  /** Without STARTTLS. */
  hideStarttls?: boolean;
}

export async function startSmtp({
  secure = true,
  hideStarttls = false,
}: SmtpLabOptions = {}): Promise<SmtpLab> {
  const { key, cert } = labCertificate();
  const received: Received[] = [];
  const logins: string[] = [];
  const lab: SmtpLab = {
    port: 0,
    received,
    logins,
    answers: { login: () => null, recipient: () => null, data: () => null },
    settings: (changes) => ({
      host: 'localhost',
      port: lab.port,
      tls: secure ? 'implicit' : 'starttls',
      tlsVerify: true,
      tlsCa: cert,
      login: { kind: 'password', user: 'desk', password: 'secret' },
      ...changes,
    }),
    transport: (changes) => smtpTransport(lab.settings(changes), { connectMs: 20_000, silenceMs: 20_000 }),
  };
  const server = new SMTPServer({
    secure,
    key,
    cert,
    authMethods: ['PLAIN', 'LOGIN', 'XOAUTH2'],
    authOptional: true,
    ...(hideStarttls ? { disabledCommands: ['STARTTLS'] } : {}),
    onAuth({ username = '', password, accessToken }, _session, done) {
      const login = password ?? accessToken ?? '';
      logins.push(`${username}:${login}`);
      const refusal = lab.answers.login(username, login);
      done(refusal === null ? null : asError(refusal), refusal === null ? { user: username } : undefined);
    },
    onRcptTo({ address }, _session, done) {
      const refusal = lab.answers.recipient(address);
      done(refusal === null ? null : asError(refusal));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('end', async () => {
        const mime = Buffer.concat(chunks).toString('utf8');
        const { mailFrom, rcptTo } = session.envelope;
        const answer = await lab.answers.data(mime);
        if (answer === null || answer === 'drop') {
          received.push({
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            mime,
            secure: session.secure,
            user: String(session.user ?? ''),
          });
        }
        if (answer === 'drop') for (const connection of server.connections) connection.close();
        else done(answer === null ? null : asError(answer));
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  lab.port = (server.server.address() as AddressInfo).port;
  onCleanup(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return lab;
}

function asError(refusal: string): Error & { responseCode: number } {
  const [, code, text = ''] = /^(\d{3}) (.*)$/.exec(refusal) ?? [];
  return Object.assign(new Error(text), { responseCode: Number(code) });
}
