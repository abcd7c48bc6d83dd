/** Errors in the shapes in which Microsoft Entra and Google's token endpoint give them. */
import { randomUUID } from 'node:crypto';
import type { LabAnswer } from '../http/answer.ts';

/** Texts of Entra's errors, shortened at the places where they name the application. */
const ENTRA: Readonly<Record<number, { status: number; error: string; text: string; suberror?: string }>> = {
  7000222: {
    status: 401,
    error: 'invalid_client',
    text: "The provided client secret keys for app 'lab' are expired. Visit the Azure portal to create new keys for your app",
  },
  7000215: {
    status: 401,
    error: 'invalid_client',
    text: 'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID',
  },
  7000218: {
    status: 401,
    error: 'invalid_client',
    text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  },
  700027: {
    status: 401,
    error: 'invalid_client',
    text: 'The certificate with identifier used to sign the client assertion is not registered on application.',
  },
  70021: {
    status: 400,
    error: 'invalid_request',
    text: 'No matching federated identity record found for presented assertion.',
  },
  700016: {
    status: 400,
    error: 'unauthorized_client',
    text: "Application with identifier 'lab' was not found in the directory 'lab'.",
  },
  90002: {
    status: 400,
    error: 'invalid_request',
    text: "Tenant 'lab' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
  },
  50173: {
    status: 400,
    error: 'invalid_grant',
    text: 'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
    suberror: 'bad_token',
  },
  700082: {
    status: 400,
    error: 'invalid_grant',
    text: 'The refresh token has expired due to inactivity.',
    suberror: 'token_expired',
  },
  50076: {
    status: 400,
    error: 'interaction_required',
    text: 'Due to a configuration change made by your administrator, you must use multi-factor authentication.',
    suberror: 'basic_action',
  },
  65001: {
    status: 400,
    error: 'invalid_grant',
    text: "The user or administrator has not consented to use the application with ID 'lab'.",
    suberror: 'consent_required',
  },
  70008: {
    status: 400,
    error: 'invalid_grant',
    text: 'The provided authorization code or refresh token has expired.',
  },
  1002012: { status: 400, error: 'invalid_scope', text: 'The provided value for scope is not valid.' },
};

export type EntraCode = number;

export function entraError(code: EntraCode): LabAnswer {
  const known = ENTRA[code] ?? { status: 400, error: 'invalid_request', text: 'Something else.' };
  const trace = randomUUID();
  const at = new Date().toISOString().slice(0, 19).replace('T', ' ');
  return {
    status: known.status,
    body: {
      error: known.error,
      error_description: `AADSTS${code}: ${known.text} Trace ID: ${trace} Correlation ID: ${trace} Timestamp: ${at}Z`,
      error_codes: [code],
      timestamp: `${at}Z`,
      trace_id: trace,
      correlation_id: trace,
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
      ...(known.suberror === undefined ? {} : { suberror: known.suberror }),
    },
  };
}

export function googleError(error: string, description: string, status = 400): LabAnswer {
  return { status, body: { error, error_description: description } };
}
