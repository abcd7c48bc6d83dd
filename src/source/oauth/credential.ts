/** What a mailbox gets its access tokens with. Plain data; everything secret in it is plain text here. */

export type Provider = 'microsoft' | 'google';

/** How the application proves who it is (RFC 6749 section 2.3, RFC 7523 section 2.2). PEM texts. */
export type ClientAuth =
  /** A public client: delegated grants with PKCE or device code. */
  | { kind: 'none' }
  | { kind: 'secret'; secret: string /** ISO instant, when known. */; expiresAt: string | null }
  | { kind: 'certificate'; privateKey: string; certificate: string }
  /** A file with a token of another issuer that is trusted, written anew by the platform (workload identity). */
  | { kind: 'federated'; tokenFile: string };

/** By what right a token is asked for. */
export type Grant =
  /** RFC 6749 section 4.4: the application itself. */
  | { kind: 'client_credentials'; client: ClientAuth }
  /** RFC 6749 section 6: for a person who signed in. `refreshToken` is the first one; later ones are in the store. */
  | { kind: 'refresh_token'; client: ClientAuth; refreshToken: string }
  /** RFC 7523 section 2.1: a Google service account, for the user `subject` by domain-wide delegation or for itself. */
  | {
      kind: 'service_account';
      email: string;
      privateKey: string;
      privateKeyId: string | null;
      subject: string | null;
    }
  /** The machine's own identity in Azure: no secret anywhere. */
  | { kind: 'managed_identity'; endpoint: ManagedIdentityEndpoint };

export interface ManagedIdentityEndpoint {
  url: string;
  headers: Record<string, string>;
}

export interface Credential {
  /** Names it for ever and for one scope, such as `mailbox:7`: what is kept is kept under this name. */
  id: string;
  provider: Provider;
  /** Absolute https URL; only the managed identity endpoint of the machine may be http. */
  tokenUrl: string;
  clientId: string;
  /** Space-separated, as in RFC 6749 section 3.3. */
  scope: string;
  grant: Grant;
  /** PEM of an extra certificate authority for `tokenUrl`, or null. */
  tlsCa: string | null;
}

/** What a token endpoint gave. */
export interface Tokens {
  accessToken: string;
  lifeMs: number;
  /** Null when none came: the one in use stays valid. */
  refreshToken: string | null;
  refreshLifeMs: number | null;
  /** What was really granted; null when the server did not say. */
  scope: string | null;
}
