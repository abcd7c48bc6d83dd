/** Options that say what a mailbox gets its access tokens with. Secrets come from files or standard input only. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { fail } from '../errors.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import { readServiceAccountKey } from '../source/oauth/service-account-file.ts';
import type { SourceKind } from '../source/source.ts';
import { certificateEnd, defaultOauthSettings, type OauthSettings } from '../store/mailbox-settings.ts';
import { readSecretFromStdin } from './stdin.ts';

export interface OauthOptions {
  type: SourceKind;
  grant?: OauthSettings['grant'];
  provider?: OauthSettings['provider'];
  tenant?: string;
  cloud?: OauthSettings['cloud'];
  clientId?: string;
  clientSecretStdin?: boolean;
  clientSecretFile?: string;
  secretExpires?: string;
  certificateFile?: string;
  federatedTokenFile?: string;
  serviceAccountFile?: string;
  refreshTokenStdin?: boolean;
  scope?: string;
  tokenUrl?: string;
}

export function addOauthOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--grant <grant>',
        'by what right tokens are asked for; default: what the other options mean',
      ).choices(['client_credentials', 'refresh_token', 'service_account', 'managed_identity']),
    )
    .addOption(
      new Option('--provider <name>', 'who gives the tokens, for imap and pop3').choices([
        'microsoft',
        'google',
      ]),
    )
    .option('--tenant <tenant>', 'Microsoft: tenant id or domain')
    .addOption(
      new Option('--cloud <cloud>', 'Microsoft: national cloud').choices([
        'global',
        'us_government',
        'us_dod',
        'china',
      ]),
    )
    .option('--client-id <id>', 'the application, as it is registered')
    .option('--client-secret-stdin', 'read the client secret from standard input')
    .option('--client-secret-file <file>', 'or from a file')
    .option('--secret-expires <date>', 'when the client secret ends')
    .option(
      '--certificate-file <file>',
      'PEM with certificate and private key of the application, instead of a secret',
    )
    .option(
      '--federated-token-file <file>',
      'token of another issuer that stands for the application (workload identity)',
    )
    .option('--service-account-file <file>', 'Google: key of a service account, as JSON')
    .option('--refresh-token-stdin', 'read the refresh token of a person who signed in from standard input')
    .option('--scope <scope>', 'other scopes than those that mail needs')
    .option('--token-url <url>', 'another token endpoint than that of the provider');
}

/** Null when no option speaks of OAuth. Fails with `validation_failed`. */
export async function readOauth(
  options: OauthOptions,
): Promise<{ oauth: OauthSettings; secrets: LoginSecrets } | null> {
  const grant = grantOf(options);
  if (grant === null) return null;
  const oauth = { ...defaultOauthSettings(providerOf(options, grant)), grant };
  const secrets: LoginSecrets = {};
  oauth.clientId = options.clientId ?? '';
  oauth.tenant = options.tenant ?? null;
  oauth.cloud = options.cloud ?? 'global';
  oauth.scope = options.scope ?? null;
  oauth.tokenUrl = options.tokenUrl ?? null;
  oauth.secretExpires = options.secretExpires ?? null;
  if (options.clientSecretStdin && options.refreshTokenStdin) {
    throw fail('validation_failed', 'Standard input has one secret; use --client-secret-file for the other.');
  }
  if (options.clientSecretStdin) secrets.client_secret = await readSecretFromStdin();
  if (options.refreshTokenStdin) secrets.refresh_token = await readSecretFromStdin();
  if (options.clientSecretFile !== undefined) {
    secrets.client_secret = (await text(options.clientSecretFile)).trim();
  }
  if (options.certificateFile !== undefined) {
    const pem = await text(options.certificateFile);
    oauth.client = 'certificate';
    oauth.certificate = block(pem, 'CERTIFICATE');
    oauth.secretExpires = certificateEnd(oauth.certificate);
    secrets.private_key = block(pem, '(?:RSA )?PRIVATE KEY');
  } else if (options.federatedTokenFile !== undefined) {
    oauth.client = 'federated';
    oauth.tokenFile = options.federatedTokenFile;
  } else if (secrets.client_secret === undefined) {
    oauth.client = 'none';
  }
  if (options.serviceAccountFile !== undefined) {
    const account = readServiceAccountKey(await text(options.serviceAccountFile));
    oauth.clientId = account.email;
    oauth.keyId = account.privateKeyId;
    secrets.private_key = account.privateKey;
  }
  return { oauth, secrets };
}

function grantOf(options: OauthOptions): OauthSettings['grant'] | null {
  if (options.grant !== undefined) return options.grant;
  if (options.serviceAccountFile !== undefined) return 'service_account';
  if (options.refreshTokenStdin) return 'refresh_token';
  const isApplication =
    options.clientSecretStdin ||
    options.clientSecretFile ||
    options.certificateFile ||
    options.federatedTokenFile;
  if (isApplication) return options.type === 'gmail' ? 'refresh_token' : 'client_credentials';
  return null;
}

function providerOf(options: OauthOptions, grant: OauthSettings['grant']): OauthSettings['provider'] {
  if (options.type === 'graph') return 'microsoft';
  if (options.type === 'gmail' || grant === 'service_account') return 'google';
  const provider =
    options.provider ?? (grant === 'refresh_token' && !options.tenant ? undefined : 'microsoft');
  if (provider === undefined) throw fail('validation_failed', 'Say who gives the tokens with --provider.');
  return provider;
}

async function text(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fail('validation_failed', `${file} cannot be read.`, { file }, error);
  }
}

function block(pem: string, label: string): string {
  const found = new RegExp(`-----BEGIN (${label})-----[\\s\\S]*?-----END \\1-----`).exec(pem);
  if (found === null)
    throw fail('validation_failed', `The file has no ${label.replace('(?:RSA )?', '')} in PEM.`);
  return `${found[0]}\n`;
}
