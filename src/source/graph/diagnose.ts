/** Tries the settings of a Graph mailbox step by step; each failing step says what to change. */
import type { PenstockError } from '../../errors.ts';
import { Diagnosis, probeDns, probeTcp, probeTls, StepFailed } from '../probe.ts';
import type { DiagnosisStep, ServerSettings } from '../source.ts';
import type { GraphClient } from './client.ts';
import { findFolder, topFolders } from './folders.ts';
import { mailboxEpoch } from './session.ts';
import { type AccessTokens, type GraphSettings, graphOrigin } from './settings.ts';
import { tokenFault } from './token-faults.ts';

const FOLDERS_SHOWN = 20;

/** Closes `client`. */
export async function diagnoseGraph(
  client: GraphClient,
  tokens: AccessTokens,
  signal: AbortSignal,
): Promise<DiagnosisStep[]> {
  const diagnosis = new Diagnosis(signal, client.options.connectMs);
  const abort = (): void => client.close();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await probeServer(diagnosis, client.settings);
    await probeLogin(diagnosis, client, tokens);
    await diagnosis.step(
      'folders',
      'Check the folders of this mailbox.',
      () => checkFolders(client),
      stepMs(client),
    );
  } catch (error) {
    // The failed step has been noted; it is the result.
    if (!(error instanceof StepFailed)) throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    client.close();
  }
  return diagnosis.steps;
}

/** Everything that can be learned without a token. */
async function probeServer(
  diagnosis: Diagnosis,
  { graphHost, tlsCa, tlsVerify }: GraphSettings,
): Promise<void> {
  const { hostname, port } = new URL(graphOrigin(graphHost));
  const server = {
    host: hostname,
    port: Number(port || 443),
    tls: 'implicit',
    tlsCa,
    tlsVerify,
  } as ServerSettings;
  await probeDns(diagnosis, server.host);
  const plain = await probeTcp(diagnosis, server);
  try {
    const socket = await probeTls(diagnosis, server, plain);
    socket.destroy();
  } finally {
    plain.destroy();
  }
}

async function probeLogin(diagnosis: Diagnosis, client: GraphClient, tokens: AccessTokens): Promise<void> {
  const advice = 'Get a new access token, and check tenant, application and secret.';
  await diagnosis.step(
    'login',
    advice,
    async () => {
      await named(() => tokens.get());
      await named(() => mailboxEpoch(client), client.settings.mailbox);
      return { found: `Graph opens the mailbox ${client.settings.mailbox}`, value: null };
    },
    stepMs(client),
  );
}

/** Runs one request, and says by the error what is wrong with the account. */
async function named<T>(run: () => Promise<T>, mailbox?: string): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const error = thrown as PenstockError;
    const fault = tokenFault(`${error.message} ${JSON.stringify(error.fields ?? {})}`);
    if (fault) throw new StepFailed(`${fault.found} (${error.message})`, fault.advice);
    throw new StepFailed(error.message, adviceFor(error, mailbox));
  }
}

function adviceFor(error: PenstockError, mailbox = ''): string {
  switch (error.code) {
    case 'auth_failed':
      return 'Get a new access token; check that it is for this Graph host, and check tenant, application and secret.';
    case 'permission_denied':
      return (
        'Grant the application Mail.ReadWrite (Mail.Read, if mail is left as it is) with consent of an administrator, ' +
        `or let its RBAC scope include ${mailbox}. A change takes up to two hours.`
      );
    case 'mailbox_missing':
      return `Check the address ${mailbox}, and that it has a mailbox in Exchange Online: a licence, or a shared mailbox.`;
    default:
      return error.hint;
  }
}

async function checkFolders(client: GraphClient): Promise<{ found: string; value: null }> {
  const missing: string[] = [];
  const counts: string[] = [];
  for (const path of client.settings.folders) {
    try {
      const { count } = await findFolder(client, path);
      counts.push(`${path} (${count} messages)`);
    } catch (error) {
      if ((error as PenstockError).code !== 'folder_missing') throw error;
      missing.push(path);
    }
  }
  if (missing.length === 0) return { found: counts.join(', '), value: null };
  const shown = (await topFolders(client)).slice(0, FOLDERS_SHOWN).join(', ');
  throw new StepFailed(`Missing: ${missing.join(', ')}`, `Create the folder, or choose from: ${shown}`);
}

/** The client has deadlines of its own; this one only has to come after them. */
function stepMs({ options }: GraphClient): number {
  return 2 * (options.connectMs + options.answerMs);
}
