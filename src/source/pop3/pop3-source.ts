/** The POP3 source (RFC 1939). */
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';
import type { DiagnosisStep, ServerSettings, Session, Source } from '../source.ts';
import { loginDelay } from './capabilities.ts';
import { Commands } from './commands.ts';
import { connectPop3 } from './connect.ts';
import { diagnosePop3 } from './diagnose.ts';
import { DEFAULT_POP3_OPTIONS, type Pop3Options } from './options.ts';
import { Pop3Session } from './session.ts';

/** A source for one account. `options` changes times; see {@link Pop3Options}. */
export function pop3Source(settings: ServerSettings, options: Partial<Pop3Options> = {}): Source {
  const all = { ...DEFAULT_POP3_OPTIONS, ...options };
  /** The server takes no login before this (RFC 2449 section 6.5). */
  let earliest = 0;
  const ready = async (signal: AbortSignal): Promise<void> => {
    const early = earliest - performance.now();
    if (early <= 0) return;
    await sleep(early, undefined, { signal }).catch(() => {
      throw fail('connection_lost', 'The attempt was ended before it began');
    });
  };
  return {
    kind: 'pop3',
    ready,
    async connect(signal: AbortSignal): Promise<Session> {
      await ready(signal);
      const connected = await connectPop3(settings, all, signal);
      earliest = performance.now() + (loginDelay(connected.capabilities) ?? 0) * 1000;
      return new Pop3Session(new Commands(connected));
    },
    async diagnose(signal: AbortSignal): Promise<DiagnosisStep[]> {
      return diagnosePop3(settings, all, signal);
    },
  };
}
