/** The first line of an answer (RFC 1939 section 3), with its response code (RFC 2449 section 8). Pure. */
import { tidyServerText } from '../trouble.ts';

export interface Reply {
  /** `continue` is the `+` of a SASL exchange (RFC 5034 section 4). */
  status: 'ok' | 'err' | 'continue';
  /** What follows the status, shortened and without control characters. */
  text: string;
  /** What follows the status, byte for byte as latin1: for SASL and for what a server answers in one line. */
  raw: string;
  /** In capitals, e.g. `IN-USE` or `SYS/TEMP`; null when there is none. */
  code: string | null;
}

const STATUS = /^(\+OK|-ERR)[ \t]*(.*)$/is;
const RESPONSE_CODE = /^\[([A-Z][A-Z0-9/-]{0,60})(?: [^\]]*)?\]/i;

/** Null when the line is no answer of POP3. */
export function parseReply(line: Buffer): Reply | null {
  const text = line.toString('latin1');
  const match = STATUS.exec(text);
  if (match) {
    const raw = match[2] ?? '';
    const code = RESPONSE_CODE.exec(raw)?.[1]?.toUpperCase() ?? null;
    const status = match[1]?.startsWith('-') ? 'err' : 'ok';
    return { status, text: tidyServerText(line.toString('utf8', line.length - raw.length)), raw, code };
  }
  if (text !== '+' && !text.startsWith('+ ')) return null;
  const raw = text.slice(2);
  return { status: 'continue', text: tidyServerText(raw), raw, code: null };
}
