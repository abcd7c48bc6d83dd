/**
 * What an answer of a token endpoint means. Pure. Terminal: asking again gives the same answer until a person changed
 * something, so it is not asked again. Everything that is not a clear refusal counts as temporary.
 */
import { type ErrorCode, fail, type PenstockError } from '../../errors.ts';
import type { Provider, Tokens } from './credential.ts';
import type { SmallAnswer } from './http.ts';

/** What a failed request led to, as it is remembered. */
export interface TokenFailure {
  terminal: boolean;
  code: ErrorCode;
  message: string;
  /** The server's own code, such as `AADSTS7000222` or `invalid_grant`. */
  reason: string;
  /** How long the server asks to be left alone. */
  askedMs: number | null;
}

type Meaning = readonly [code: ErrorCode, message: string];

const SIGN_IN: Meaning = ['sign_in_needed', 'The permission that was given at sign-in is no longer valid'];
const POLICY: Meaning = ['consent_needed', 'A policy of the organisation does not let the application in'];
const NO_CONSENT: Meaning = ['consent_needed', 'Nobody has consented to what the application asks for'];
const REFUSED: Meaning = ['credential_refused', 'The client id or its secret, certificate or key is refused'];
const UNKNOWN: Meaning = ['application_unknown', 'The application or the tenant does not exist there'];

/**
 * Errors of Microsoft Entra by number (learn.microsoft.com/entra/identity-platform/reference-error-codes). They decide
 * before the OAuth error, which is `invalid_client` or `invalid_grant` for quite different things.
 */
const ENTRA: Readonly<Record<number, Meaning | 'temporary'>> = {
  7000222: ['credential_expired', 'The client secret has expired'],
  7000215: ['credential_refused', 'The client secret is wrong: enter its value, not its id'],
  7000218: ['credential_refused', 'The application needs a client secret or certificate'],
  700027: ['credential_refused', 'The certificate is not the one of the application, or has expired'],
  700024: [
    'credential_refused',
    'The signed assertion is not valid at this time: check the clock of this machine',
  ],
  700030: ['credential_refused', 'The certificate is not valid for the application'],
  70021: ['credential_refused', 'No federated credential of the application matches this token'],
  700211: ['credential_refused', 'No federated credential has the issuer of this token'],
  700212: ['credential_refused', 'No federated credential has the audience of this token'],
  700213: ['credential_refused', 'No federated credential has the subject of this token'],
  700016: ['application_unknown', 'The client id does not exist in this tenant'],
  90002: ['application_unknown', 'The tenant does not exist in this cloud'],
  900023: ['application_unknown', 'The tenant is neither an id nor a domain name'],
  900382: ['application_unknown', 'The application belongs to another national cloud'],
  7000112: ['consent_needed', 'The application is disabled in this tenant'],
  500011: ['token_request_refused', 'The service in the scope is not known in this tenant'],
  70011: ['token_request_refused', 'The scope is not valid'],
  1002012: ['token_request_refused', 'An application asks for the scope that ends in /.default'],
  65001: NO_CONSENT,
  65004: NO_CONSENT,
  650052: ['consent_needed', 'The organisation has no subscription or consent for the service'],
  50105: ['consent_needed', 'The user is not assigned to the application'],
  53000: POLICY,
  53001: POLICY,
  53003: POLICY,
  530003: POLICY,
  50076: ['sign_in_needed', 'A second factor is asked for'],
  50079: ['sign_in_needed', 'A second factor must be set up'],
  50078: ['sign_in_needed', 'The second factor is asked for again'],
  50173: ['sign_in_needed', 'The password was changed or the sign-in was revoked'],
  50034: ['sign_in_needed', 'The user does not exist in this tenant'],
  50055: ['sign_in_needed', 'The password of the user has expired'],
  50057: ['sign_in_needed', 'The user is disabled'],
  50132: SIGN_IN,
  50133: SIGN_IN,
  70000: SIGN_IN,
  70008: ['sign_in_needed', 'The sign-in has expired'],
  700082: ['sign_in_needed', 'The refresh token was not used for too long'],
  700084: ['sign_in_needed', 'The refresh token of this kind of application has ended after a day'],
  // The same request too often in a short time: our own loop, were it to go on.
  50196: 'temporary',
  90033: 'temporary',
  90055: 'temporary',
};

/** Errors of RFC 6749 section 5.2, RFC 8628 and OpenID Connect that stay, and some of Google's own. */
const OAUTH: Readonly<Record<string, Meaning>> = {
  invalid_grant: SIGN_IN,
  interaction_required: ['sign_in_needed', 'The provider wants to ask the user something'],
  login_required: SIGN_IN,
  expired_token: SIGN_IN,
  consent_required: NO_CONSENT,
  access_denied: ['consent_needed', 'Access was denied'],
  admin_policy_enforced: POLICY,
  org_internal: ['consent_needed', 'The application is only for users of its own organisation'],
  invalid_client: REFUSED,
  unauthorized_client: ['credential_refused', 'The application may not use this grant'],
  deleted_client: UNKNOWN,
  disabled_client: ['consent_needed', 'The application is disabled'],
  invalid_scope: ['token_request_refused', 'The scope is not valid or not granted'],
  invalid_request: ['token_request_refused', 'The request is not valid'],
  invalid_target: ['token_request_refused', 'The service asked for is not known'],
  invalid_resource: ['token_request_refused', 'The service asked for is not known'],
  unsupported_grant_type: ['token_request_refused', 'This grant is not supported there'],
};

/** A service account is no user: the same errors mean other things (developers.google.com, service accounts). */
const DELEGATION: Meaning = [
  'consent_needed',
  'Domain-wide delegation is not granted to this service account for this scope',
];
const SERVICE_ACCOUNT: Readonly<Record<string, Meaning>> = {
  unauthorized_client: DELEGATION,
  access_denied: DELEGATION,
  invalid_grant: [
    'credential_refused',
    'The key of the service account or the mailbox is not known, or the clock of this machine is wrong',
  ],
};

/** Who asked: the same error means other things for a service account. */
export interface Asker {
  provider: Provider;
  isServiceAccount: boolean;
}

const TEXT_LENGTH = 300;
const REASON_LENGTH = 100;
const ENTRA_CODE = /AADSTS(\d{4,7})/;

/** Reads the tokens, or says what the failure means. */
export function judgeTokenAnswer(asker: Asker, answer: SmallAnswer): Tokens | TokenFailure {
  const tokens = answer.status === 200 ? readTokens(answer.body) : null;
  return tokens ?? judgeFailure(asker, answer);
}

function readTokens(body: SmallAnswer['body']): Tokens | null {
  const { access_token: accessToken, token_type: type } = body ?? {};
  if (typeof accessToken !== 'string' || accessToken === '' || /[^\x21-\x7e]/.test(accessToken)) return null;
  if (typeof type === 'string' && type.toLowerCase() !== 'bearer') return null;
  const refreshToken = text(body?.refresh_token);
  return {
    accessToken,
    lifeMs: Math.min(seconds(body?.expires_in) ?? UNKNOWN_LIFE_MS, LONGEST_LIFE_MS),
    refreshToken: refreshToken === '' ? null : refreshToken,
    refreshLifeMs: seconds(body?.refresh_token_expires_in),
    scope: text(body?.scope) || null,
  };
}

/** RFC 6749 only recommends that the server says it. */
const UNKNOWN_LIFE_MS = 5 * 60_000;
const LONGEST_LIFE_MS = 24 * 3_600_000;

/** Azure's metadata service gives numbers as strings. */
function seconds(value: unknown): number | null {
  const number = typeof value === 'string' ? Number.parseInt(value, 10) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number <= 0) return null;
  return number * 1000;
}

function judgeFailure(asker: Asker, { status, body, retryAfterMs }: SmallAnswer): TokenFailure {
  const error = text(body?.error);
  const said = text(body?.error_description).split(/[\r\n]/, 1)[0]!;
  const entra = asker.provider === 'microsoft' ? entraCode(body) : null;
  const reason = entra === null ? error.slice(0, REASON_LENGTH) : `AADSTS${entra}`;
  const meaning = meaningOf(asker, entra, error);
  const isRefusal = status >= 400 && status < 500 && status !== 429 && status !== 408;
  if (meaning !== null && meaning !== 'temporary' && isRefusal) {
    const [code, message] = meaning;
    return { terminal: true, code, message: withDetail(message, reason, said), reason, askedMs: null };
  }
  const limited = status === 429 || meaning === 'temporary';
  const code = limited ? 'server_busy' : 'server_protocol';
  const message = limited
    ? 'The token endpoint limits us'
    : `The token endpoint gave no token (HTTP ${status || 'status missing'})`;
  return { terminal: false, code, message: withDetail(message, reason, said), reason, askedMs: retryAfterMs };
}

function meaningOf(asker: Asker, entra: number | null, error: string): Meaning | 'temporary' | null {
  if (entra !== null) {
    const known = ENTRA[entra];
    if (known !== undefined) return known;
  }
  if (asker.isServiceAccount && Object.hasOwn(SERVICE_ACCOUNT, error)) return SERVICE_ACCOUNT[error]!;
  return Object.hasOwn(OAUTH, error) ? OAUTH[error]! : null;
}

/** `error_codes` is for machines; the description has the code too, and some answers have only that. */
function entraCode(body: SmallAnswer['body']): number | null {
  const codes = body?.error_codes;
  if (Array.isArray(codes) && typeof codes[0] === 'number') return codes[0];
  const found = ENTRA_CODE.exec(text(body?.error_description));
  return found === null ? null : Number(found[1]);
}

function withDetail(message: string, reason: string, said: string): string {
  const detail = said === '' ? reason : said;
  return detail === '' ? message : `${message} (${detail.slice(0, TEXT_LENGTH)})`;
}

/** Without control characters: it goes into logs. */
function text(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[\p{Cc}--[\r\n]]/gv, ' ') : '';
}

/** The error that callers get for a failure. */
export function failureError(failure: TokenFailure, credential: string): PenstockError {
  const { code, message, reason, askedMs } = failure;
  return fail(code, message, { credential, reason, backoffMs: askedMs });
}
