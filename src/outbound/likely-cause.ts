/** Why a mail did not get through, in plain words (Halo: likely_cause). Pure. */
import { hintFor } from '../errors.ts';

/** What servers say, by enhanced status code (RFC 3463) or by their words; the first that fits counts. */
const SAID: readonly (readonly [pattern: RegExp, cause: string])[] = [
  [
    /\b[45]\.1\.[0-36]\b|user unknown|no such user|unknown user|does not exist|recipient.*not found/i,
    'The address does not exist. Check its spelling.',
  ],
  [/\b[45]\.2\.2\b|mailbox (?:is )?full|over quota|quota exceeded/i, "The recipient's mailbox is full."],
  [/\b[45]\.2\.1\b|account (?:is )?disabled|inactive/i, "The recipient's mailbox is switched off."],
  [
    /\b[45]\.3\.4\b|too large|size limit|exceeds.*size/i,
    'The mail is too large for the server. Send fewer or smaller attachments.',
  ],
  [
    /\b[45]\.7\.(?:2[0-9])\b|spf|dkim|dmarc/i,
    'The sending domain is not set up for this server (SPF, DKIM, DMARC).',
  ],
  [
    /send ?as|not allowed to send|sender address rejected|not owned by|sendasdenied/i,
    'This account may not send under this address. Allow it to, or change the From address of the mailbox.',
  ],
  [
    /spam|blocked|blacklist|block list|reputation|policy/i,
    'The server takes it for spam, or has blocked us. Ask its administrator.',
  ],
  [/relay/i, 'The server does not relay for this account: user name or password may be missing.'],
  [
    /greylist|graylist/i,
    'The server lets strangers wait before it takes their mail. It is tried again by itself.',
  ],
  [
    /\b[45]\.4\.[0-47]\b|host (?:not found|unknown)|unrouteable/i,
    "The recipient's domain does not take mail. Check its spelling.",
  ],
];

const BY_CODE: Readonly<Record<string, string>> = {
  auth_failed: 'User name or password of the sending account is wrong, or its token was revoked.',
  server_busy: 'The server limits how much is sent. It goes on by itself.',
  send_in_doubt: 'Penstock ended while the server had the mail. It may have arrived.',
  send_gave_up: 'The server did not take it for days.',
};

/** The likely cause of an error; null when there is none. Anything but null is one or two sentences. */
export function likelyCause(code: string | null, message: string): string | null {
  if (code === null) return null;
  const said = SAID.find(([pattern]) => pattern.test(message))?.[1];
  const known = code === 'send_refused' || code === 'send_deferred' || code === 'bounced';
  if (known && said !== undefined) return said;
  return BY_CODE[code] ?? said ?? hintFor(code);
}
