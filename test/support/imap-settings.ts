import type { ServerSettings } from '../../src/source/source.ts';

/** Settings for a server on the loopback address, without TLS unless `changes` say otherwise. */
export function imapSettings(
  changes: Partial<Omit<ServerSettings, 'auth'>> & {
    port: number;
    user: string;
    password?: string;
    token?: string;
  },
): ServerSettings {
  const { password = 'secret', token, ...rest } = changes;
  return {
    host: '127.0.0.1',
    tls: 'none',
    tlsCa: null,
    tlsVerify: true,
    folders: ['INBOX'],
    maxMessageBytes: 50 * 1024 * 1024,
    auth: token === undefined ? { kind: 'password', password } : { kind: 'xoauth2', token },
    ...rest,
  };
}
