/** Tries the settings of a Gmail mailbox step by step and says what to change. */
import { asPenstockError, type PenstockError } from '../../errors.ts';
import { Diagnosis, probeDns, probeTcp, probeTls, StepFailed } from '../probe.ts';
import type { DiagnosisStep, ServerSettings } from '../source.ts';
import type { GmailApi } from './api.ts';
import { findLabel } from './labels.ts';

const STEP_MS = 20_000;
const LABELS_SHOWN = 20;

export async function diagnoseGmail(api: GmailApi, signal: AbortSignal): Promise<DiagnosisStep[]> {
  const diagnosis = new Diagnosis(signal, STEP_MS);
  const server = serverOf(api);
  try {
    await probeDns(diagnosis, server.host);
    const socket = await probeTcp(diagnosis, server);
    try {
      await probeTls(diagnosis, server, socket);
    } finally {
      socket.destroy();
    }
    await diagnosis.step('login', 'See the message.', (stop) => tryLogin(api, stop));
    await diagnosis.step('folders', 'Check the labels of this mailbox.', (stop) => tryFolders(api, stop));
  } catch (error) {
    // A failed step is in the list already.
    if (!(error instanceof StepFailed)) throw error;
  }
  return diagnosis.steps;
}

async function tryLogin(api: GmailApi, signal: AbortSignal): Promise<{ found: string; value: null }> {
  const { user } = api.settings;
  try {
    const { address } = await api.profile(signal);
    return { found: `The token is good for ${address}`, value: null };
  } catch (thrown) {
    const error = asPenstockError(thrown);
    throw new StepFailed(error.message, loginAdvice(error, user));
  }
}

/** The place where it is mended, in the words of Google's consoles. */
function loginAdvice(error: PenstockError, user: string): string {
  const reason = String(error.fields.reason ?? '');
  if (/accessNotConfigured|SERVICE_DISABLED/.test(reason)) {
    return 'Enable the Gmail API in the Google Cloud project of the application, and wait a few minutes.';
  }
  if (/insufficientPermissions|SCOPE_INSUFFICIENT/.test(reason)) {
    return 'Sign in again and allow reading and changing mail; a service account needs the scope in its delegation.';
  }
  if (reason === 'domainPolicy') {
    return 'An administrator must allow the application: Admin console, Security, API controls.';
  }
  if (/unauthorized_client|access_denied/.test(reason)) {
    return (
      'An administrator must add the client id of the service account and its scope: Admin console, Security, ' +
      'API controls, domain-wide delegation.'
    );
  }
  if (/Invalid email or User ID/i.test(error.message)) {
    return `Check the address ${user}: the domain of the service account has no such mailbox.`;
  }
  if (/account not found|Invalid JWT/i.test(error.message)) {
    return 'Check the address of the service account (the client id) and its key, and the clock of this machine.';
  }
  if (/another account/.test(error.message))
    return `Sign in as ${user}, or change the address of the mailbox.`;
  if (/no Gmail mailbox/.test(error.message)) return `Give ${user} a Gmail licence, or check the address.`;
  if (error.code === 'auth_failed') {
    return 'Sign in again. Gmail takes tokens only, no password; check that the account still exists.';
  }
  return error.hint;
}

async function tryFolders(api: GmailApi, signal: AbortSignal): Promise<{ found: string; value: null }> {
  const labels = await api.labels(signal);
  const missing: string[] = [];
  const counts: string[] = [];
  for (const path of api.settings.folders) {
    const label = findLabel(labels, path);
    if (label === null) missing.push(path);
    else counts.push(`${label.name} (${await api.labelCount(label.id, signal)} messages)`);
  }
  if (missing.length > 0) {
    const shown = labels.slice(0, LABELS_SHOWN).map(({ name }) => name);
    throw new StepFailed(
      `Missing: ${missing.join(', ')}`,
      `Create the label, or choose from: ${shown.join(', ')}`,
    );
  }
  return { found: counts.join(', '), value: null };
}

/** The API as the shared probes know servers. */
function serverOf({ settings }: GmailApi): ServerSettings {
  const url = new URL(settings.rootUrl);
  return {
    host: url.hostname,
    port: Number(url.port || 443),
    tls: 'implicit',
    tlsCa: settings.tlsCa,
    tlsVerify: true,
    user: settings.user,
    auth: { kind: 'xoauth2', token: '' },
    folders: settings.folders,
    maxMessageBytes: settings.maxMessageBytes,
  };
}
