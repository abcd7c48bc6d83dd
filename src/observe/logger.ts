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
    hooks: { streamWrite: (line) => withoutControls(line, asPretty ? '\\\\u' : '\\u') },
    redact: { paths: REDACTED.flatMap((key) => [key, `*.${key}`]), censor: '(hidden)' },
  };
  if (!asPretty) return pino(options, destination as pino.DestinationStream);
  const { default: pretty } = await import('pino-pretty');
  return pino(
    options,
    pretty({ destination, colorize: isTerminal, ignore: 'event', singleLine: true, sync: true }),
  );
}

/** JSON leaves these as they are, and terminals may take U+009B for the beginning of a command. */
function withoutControls(line: string, before: string): string {
  return line.replace(/[\u007f-\u009f]/g, (one) => `${before}00${one.charCodeAt(0).toString(16)}`);
}

/** Logs every event at its level. */
export function logEvents(events: Events, logger: Logger): void {
  events.listen((event, data) => {
    const { level, text } = EVENTS[event];
    // First in the line, and never that of the data.
    const line: object = Object.assign({ event }, data, { event });
    logger[level](line, text);
  });
}
