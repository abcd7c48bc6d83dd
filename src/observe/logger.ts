/** Turns events into log lines: JSON for machines, pretty for a terminal. */
import pino, { type Logger } from 'pino';
import type { Config } from '../config/settings.ts';
import { EVENTS, type Events } from './events.ts';

/** Keys whose values never reach a log, wherever they stand. */
const REDACTED = ['password', 'token', 'secret', 'client_secret', 'authorization', 'ciphertext'];

/** Logs to standard output when there is no other destination. */
export async function createLogger(
  config: Config['log'],
  destination: NodeJS.WritableStream = process.stdout,
): Promise<Logger> {
  const isTerminal = 'isTTY' in destination && destination.isTTY === true;
  const asPretty = config.format === 'pretty' || (config.format === 'auto' && isTerminal);
  const options: pino.LoggerOptions = {
    level: config.level,
    base: undefined,
    messageKey: 'msg',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED.flatMap((key) => [key, `*.${key}`]), censor: '(hidden)' },
  };
  if (!asPretty) return pino(options, destination as pino.DestinationStream);
  const { default: pretty } = await import('pino-pretty');
  return pino(
    options,
    pretty({ destination, colorize: isTerminal, ignore: 'event', singleLine: true, sync: true }),
  );
}

/** Logs every event at its level. */
export function logEvents(events: Events, logger: Logger): void {
  events.listen((event, data) => {
    const { level, text } = EVENTS[event];
    logger[level]({ event, ...(data as object) }, text);
  });
}
