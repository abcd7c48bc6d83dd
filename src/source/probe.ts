/**
 * The first steps of a diagnosis, the same for every protocol on a TCP port: name, connection, TLS and what is
 * wrong with the certificate. Each failing step says what to change.
 */
import type { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import tls from 'node:tls';
import type { DiagnosisStep, ServerSettings } from './source.ts';

export type StepName = DiagnosisStep['step'];

/** What a step found. A failing step has advice. */
export interface Finding {
  ok: boolean;
  found: string;
  advice?: string;
}

/** Thrown inside a step to end the diagnosis with this finding. */
export class StepFailed extends Error {
  readonly finding: Finding;

  constructor(found: string, advice: string) {
    super(found);
    this.finding = { ok: false, found, advice };
  }
}

/** Collects the steps of one diagnosis and their times. */
export class Diagnosis {
  readonly steps: DiagnosisStep[] = [];
  readonly #signal: AbortSignal;
  readonly #stepMs: number;

  /** `stepMs` is the longest that one step may take. */
  constructor(signal: AbortSignal, stepMs: number) {
    this.#signal = signal;
    this.#stepMs = stepMs;
  }

  /**
   * Runs one step and notes what it found. Throws {@link StepFailed} when it failed, however it failed. `run` gets
   * a signal that tells it to let go of what it holds; `ms` is its time, when it differs from that of the others.
   */
  async step<T>(
    name: StepName,
    advice: string,
    run: (signal: AbortSignal) => Promise<{ found: string; value: T }>,
    ms: number = this.#stepMs,
  ): Promise<T> {
    const begun = performance.now();
    const note = (finding: Finding): void => {
      const milliseconds = Math.round(performance.now() - begun);
      const { ok, found } = finding;
      this.steps.push({ step: name, ok, found, advice: finding.advice ?? null, milliseconds });
    };
    try {
      const { found, value } = await this.#bounded(run, ms);
      note({ ok: true, found });
      return value;
    } catch (error) {
      const failed = error instanceof StepFailed ? error : new StepFailed(describe(error), advice);
      note(failed.finding);
      throw failed;
    }
  }

  async #bounded<T>(run: (signal: AbortSignal) => Promise<T>, ms: number): Promise<T> {
    const stop = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const end = (why: string): void => {
      reject(new Error(why));
      stop.abort();
    };
    const abort = (): void => end('The diagnosis was ended');
    if (this.#signal.aborted) abort();
    this.#signal.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => end(`No answer within ${ms} ms`), ms);
    const running = run(stop.signal);
    // When the time is up nobody looks at the step any more; its later failure must not go unhandled.
    running.catch(() => {});
    try {
      return await Promise.race([promise, running]);
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', abort);
    }
  }
}

/** The TLS options for a server: system authorities, plus the extra one of the settings. */
export function tlsOptions(
  settings: Pick<ServerSettings, 'tlsCa' | 'tlsVerify'>,
): tls.SecureContextOptions & {
  rejectUnauthorized: boolean;
} {
  const extra = settings.tlsCa ? { ca: [...tls.getCACertificates('default'), settings.tlsCa] } : {};
  return { rejectUnauthorized: settings.tlsVerify, ...extra };
}

export async function probeDns(diagnosis: Diagnosis, host: string): Promise<string[]> {
  const advice = `Check the spelling of "${host}" and that this machine's DNS knows it.`;
  return diagnosis.step('dns', advice, async () => {
    const found = await lookup(host, { all: true });
    const addresses = found.map(({ address }) => address);
    return { found: addresses.join(', '), value: addresses };
  });
}

export async function probeTcp(diagnosis: Diagnosis, { host, port }: ServerSettings): Promise<net.Socket> {
  const advice = `Check that ${port} is the right port and that no firewall is between this machine and ${host}.`;
  return diagnosis.step('tcp', advice, async (signal) => {
    // The signal acts until the connection is there; from then on the caller closes it.
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    const socket = net.connect({ host, port, signal: stop.signal });
    await settled(socket, 'connect');
    signal.removeEventListener('abort', abort);
    return { found: `Connected to ${socket.remoteAddress ?? host}:${port}`, value: socket };
  });
}

/** Begins TLS on a connected socket and judges the certificate. */
export async function probeTls(
  diagnosis: Diagnosis,
  settings: ServerSettings,
  plain: net.Socket,
): Promise<tls.TLSSocket> {
  const advice =
    settings.tls === 'implicit'
      ? 'The server may speak STARTTLS on this port; set tls to "starttls", or use the port for implicit TLS.'
      : 'Check the TLS versions that the server accepts.';
  return diagnosis.step('tls', advice, async () => {
    const { host, tlsVerify } = settings;
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    // The handshake is let through so that the certificate can be shown; it is judged below.
    const options = { ...tlsOptions(settings), rejectUnauthorized: false };
    const socket = tls.connect({ ...options, ...servername, host, socket: plain });
    await settled(socket, 'secureConnect');
    const certificate = socket.getPeerX509Certificate();
    const wrong = socket.authorized ? null : describeCertificateTrouble(socket, certificate, settings);
    const about = `${socket.getProtocol() ?? 'TLS'}; ${certificate ? describeCertificate(certificate) : 'no certificate'}`;
    if (wrong && tlsVerify) {
      socket.destroy();
      throw new StepFailed(`${wrong.found}; ${about}`, wrong.advice);
    }
    return { found: wrong ? `${about}; not checked, although ${wrong.found}` : about, value: socket };
  });
}

/** Subject, names, issuer and dates, for a person. */
export function describeCertificate(certificate: X509Certificate): string {
  const names = certificate.subjectAltName ?? certificate.subject.replaceAll('\n', ', ');
  const issuer = certificate.issuer.replaceAll('\n', ', ');
  return `certificate for ${names}, issued by ${issuer}, valid until ${certificate.validTo}`;
}

function describeCertificateTrouble(
  socket: tls.TLSSocket,
  certificate: X509Certificate | undefined,
  { host }: ServerSettings,
): { found: string; advice: string } {
  const code = String(
    (socket.authorizationError as { code?: unknown } | null)?.code ?? socket.authorizationError,
  );
  const trust = 'Give the certificate of its authority as tlsCa, or let the server use a public one.';
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return { found: 'the certificate has expired', advice: 'Renew the certificate on the server.' };
    case 'CERT_NOT_YET_VALID':
      return {
        found: 'the certificate is not valid yet',
        advice: 'Check the clocks of this machine and the server.',
      };
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        found: `the certificate does not name ${host}`,
        advice: `Use one of the names in the certificate as host${certificate?.subjectAltName ? ` (${certificate.subjectAltName})` : ''}.`,
      };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return { found: 'the certificate is self-signed', advice: trust };
    default:
      return { found: `the certificate is not trusted (${code})`, advice: trust };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  // With several addresses Node reports an error without a message of its own.
  return error.message || String(code ?? error.name);
}

async function settled(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once(event, resolve);
    // Stays attached: a socket without an 'error' listener ends the process.
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('The server closed the connection')));
  });
}
