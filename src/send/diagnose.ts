/** Whether a mailbox could send, as a step of its diagnosis. Nothing is sent. */
import { asPenstockError, hintFor } from '../errors.ts';
import type { DiagnosisStep } from '../source/source.ts';
import type { Transport } from './mail.ts';

/** `make` may fail as well; `server` is what people know the way out by. */
export async function diagnoseSending(
  make: () => Promise<Transport>,
  server: string,
  signal: AbortSignal,
): Promise<DiagnosisStep[]> {
  const begun = performance.now();
  const step = (ok: boolean, found: string, advice: string | null): DiagnosisStep => ({
    step: 'sending',
    ok,
    found,
    advice,
    milliseconds: Math.round(performance.now() - begun),
  });
  try {
    const transport = await make();
    // Through an API the login was tried by reading.
    if (transport.check === null) return [];
    await transport.check(signal);
    return [step(true, `${server} takes mail`, null)];
  } catch (thrown) {
    const { code, message } = asPenstockError(thrown);
    return [step(false, `${server}: ${message}`, hintFor(code))];
  }
}
