/** Options that say by which server a mailbox sends. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { fail } from '../errors.ts';
import { factsOf } from '../source/kinds.ts';
import type { SourceKind } from '../source/source.ts';
import type { MailboxSettings } from '../store/mailbox-settings.ts';
import { defaultSending, type SendingSettings, sendingOf } from '../store/sending-settings.ts';
import { whole } from './arguments.ts';

export interface SmtpOptions {
  smtpHost?: string;
  smtpPort?: number;
  smtpTls?: 'implicit' | 'starttls' | 'none';
  smtpUser?: string;
  smtpPasswordFile?: string;
  from?: string;
}

export function addSmtpOptions(command: Command): Command {
  return command
    .option(
      '--smtp-host <host>',
      'server to send by; without it graph and gmail send by their API, others not at all',
    )
    .option('--smtp-port <port>', 'port; default 587, with implicit TLS 465', whole(1, 65_535))
    .addOption(
      new Option('--smtp-tls <mode>', 'TLS; default starttls, on port 465 implicit').choices([
        'implicit',
        'starttls',
        'none',
      ]),
    )
    .option('--smtp-user <user>', 'login name for sending; default: --user')
    .option('--smtp-password-file <file>', 'password for sending; default: as the mailbox logs in')
    .option('--from <address>', 'address that mail goes out from; default: --user, when that is one');
}

/**
 * Puts what the options say into settings that have their login. Returns the password for SMTP, null when there is no own
 * one. Fails with `validation_failed`.
 */
export async function readSmtp(
  options: SmtpOptions,
  kind: SourceKind,
  settings: MailboxSettings,
): Promise<string | null> {
  const { smtpHost: host, from, smtpPasswordFile: file } = options;
  const others = [options.smtpPort, options.smtpTls, options.smtpUser, file];
  const hasOthers = others.some((one) => one !== undefined);
  if (host === undefined && from === undefined && !hasOthers) return null;
  if (host === undefined && (hasOthers || factsOf(kind).api === null))
    throw fail('validation_failed', 'Give the server to send by with --smtp-host.');
  if (from !== undefined && !/^[^\s@]+@[^\s@]+$/.test(from))
    throw fail('validation_failed', '--from must be an address.');
  const by = host === undefined ? 'api' : 'smtp';
  const smtp = host === undefined ? null : serverOf(host, options, settings);
  settings.sending = { ...defaultSending(by), smtp, address: from ?? null };
  // Mail from there is our own, and never a requester's.
  if (from !== undefined) settings.addresses = [...new Set([...settings.addresses, from.toLowerCase()])];
  if (sendingOf({ kind, settings }) === null)
    throw fail('validation_failed', 'Give the address that mail goes out from with --from.');
  return file === undefined ? null : await password(file);
}

function serverOf(
  host: string,
  { smtpPort: port, smtpTls, smtpUser, smtpPasswordFile: file }: SmtpOptions,
  { server }: MailboxSettings,
): SendingSettings['smtp'] {
  if (server.auth === 'xoauth2' && file === undefined)
    throw fail('validation_failed', 'A given token is not good for sending: use --smtp-password-file.');
  const tls = smtpTls ?? (port === 465 ? 'implicit' : 'starttls');
  return {
    host,
    port: port ?? (tls === 'implicit' ? 465 : 587),
    tls,
    tlsVerify: server.tlsVerify,
    tlsCa: server.tlsCa,
    auth: server.auth === 'oauth' && file === undefined ? 'oauth' : 'password',
    user: smtpUser ?? server.user,
  };
}

async function password(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw fail('validation_failed', `${file} cannot be read.`, { file }, error);
  }
}
