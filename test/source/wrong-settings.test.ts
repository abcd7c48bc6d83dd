/** `penstock mailbox test` on mailboxes that are set up wrongly: what is wrong, and what to change, for every kind. */
import { expect, it } from 'vitest';
import type { SourceKind } from '../../src/source/source.ts';
import { defaultMailboxSettings, type MailboxSettings } from '../../src/store/mailbox-settings.ts';
import type { Mailbox } from '../../src/store/mailboxes.ts';
import { credentialId } from '../../src/store/oauth-tokens.ts';
import { DESK, KINDS, type OauthSite, startOauthSite } from '../support/oauth-site.ts';

interface Wrong {
  kind: SourceKind;
  what: string;
  /** Changes of the settings that would work. */
  server?: Partial<MailboxSettings['server']>;
  oauth?: Partial<NonNullable<MailboxSettings['oauth']>>;
  folders?: string[];
  secrets?: Record<string, string>;
  /** Logs in with this password instead of a token. */
  password?: string;
  /** Makes the server wrong; `lab.mend` afterwards makes it good again. */
  arrange?(lab: OauthSite): void;
  step: 'tls' | 'login' | 'folders';
  found: RegExp;
  advice: RegExp;
}

const expired = ({ oauth }: OauthSite): void =>
  void oauth.grants.clients.set('app', { secret: 'the-client-secret', entra: 7000222 });

/** The same for everybody who gets tokens from Entra with the secret of an application. */
const entra = (kind: SourceKind): Wrong[] => [
  {
    kind,
    what: 'wrong tenant',
    oauth: { tokenUrl: 'another-tenant' },
    step: 'login',
    found: /AADSTS90002|Tenant 'lab' not found/,
    advice: /tenant/i,
  },
  {
    kind,
    what: 'wrong client id',
    oauth: { clientId: 'nobody' },
    step: 'login',
    found: /not found in the directory/,
    advice: /application|client/i,
  },
  {
    kind,
    what: 'wrong client secret',
    secrets: { client_secret: 'not-it' },
    step: 'login',
    found: /secret/i,
    advice: /secret/i,
  },
  {
    kind,
    what: 'client secret expired',
    arrange: expired,
    step: 'login',
    found: /expired/,
    advice: /new (client )?secret/i,
  },
];

/** The same for everybody. */
const everywhere = (kind: SourceKind): Wrong[] => [
  {
    kind,
    what: 'certificate untrusted',
    // Trusts the token endpoint only.
    server: { tlsCa: 'oauth' },
    step: 'tls',
    found: /self-signed|issuer|authority|trusted/i,
    advice: /tlsCa|authority|certificate/i,
  },
  ...(kind === 'pop3'
    ? []
    : [
        {
          kind,
          what: 'wrong folder',
          folders: ['INBOX', 'Nowhere'],
          step: 'folders' as const,
          found: /Missing: Nowhere/,
          advice: /Create the (folder|label), or choose from: .*INBOX/i,
        },
      ]),
];

const TABLE: Wrong[] = [
  ...KINDS.flatMap(everywhere),
  ...entra('graph'),
  ...entra('imap'),
  ...entra('pop3'),
  {
    kind: 'graph',
    what: 'wrong scope',
    oauth: { scope: 'https://graph.microsoft.com/Mail.Read' },
    step: 'login',
    found: /scope/i,
    advice: /scope|\.default/i,
  },
  {
    kind: 'graph',
    what: 'permission missing',
    arrange: ({ graph }) =>
      void graph.faults.add({
        at: 'get-folder',
        action: { do: 'answer', status: 403, code: 'ErrorAccessDenied', message: 'Access is denied.' },
      }),
    step: 'login',
    found: /denied|permission/i,
    advice: /Mail\.ReadWrite/,
  },
  {
    kind: 'graph',
    what: 'mailbox not found',
    server: { user: 'nobody@example.org' },
    step: 'login',
    found: /nobody@example\.org/,
    advice: /Check the address nobody@example\.org/,
  },
  {
    kind: 'graph',
    what: 'mailbox without a licence',
    server: { user: 'unlicensed@example.org' },
    step: 'login',
    found: /inactive|on-premise/,
    advice: /licence/,
  },
  {
    kind: 'gmail',
    what: 'wrong client id',
    oauth: { clientId: 'nobody@lab.iam.example' },
    step: 'login',
    found: /account not found/,
    advice: /client id/,
  },
  {
    kind: 'gmail',
    what: 'wrong scope',
    oauth: { scope: 'https://www.googleapis.com/auth/gmail.labels' },
    step: 'login',
    found: /delegation/i,
    advice: /delegation/i,
  },
  {
    kind: 'gmail',
    what: 'mailbox not found',
    server: { user: 'nobody@example.org' },
    step: 'login',
    found: /Invalid email or User ID/,
    advice: /Check the address nobody@example\.org/,
  },
  {
    kind: 'gmail',
    what: 'account without Gmail',
    arrange: ({ gmail }) => void gmail.trouble.set(DESK, 'no-mailbox'),
    step: 'login',
    found: /no Gmail mailbox/,
    advice: /licence/,
  },
  {
    kind: 'gmail',
    what: 'API switched off',
    arrange: ({ gmail }) => void gmail.trouble.set(DESK, 'api-disabled'),
    step: 'login',
    found: /Gmail API/,
    advice: /Enable the Gmail API/,
  },
  {
    kind: 'gmail',
    what: 'forbidden by the domain',
    arrange: ({ gmail }) => void gmail.trouble.set(DESK, 'domain-policy'),
    step: 'login',
    found: /administrator/,
    advice: /Admin console/,
  },
  {
    kind: 'imap',
    what: 'wrong scope',
    oauth: { scope: 'https://graph.microsoft.com/.default' },
    step: 'login',
    found: /refused|failed/i,
    advice: /IMAP scope/,
  },
  {
    kind: 'pop3',
    what: 'somebody else has it open',
    arrange: ({ pop3 }) =>
      void pop3.faults.add({
        at: 'login',
        action: { do: 'err', text: '[IN-USE] Do you have another session?' },
      }),
    step: 'login',
    found: /Somebody else has the mailbox open/,
    advice: /tried again/,
  },
  ...(['imap', 'pop3'] as const).flatMap((kind): Wrong[] => {
    const says = (text: string) => (lab: OauthSite) =>
      void (kind === 'imap'
        ? lab.imap.faults.add({ at: 'login', action: { do: 'no', text } })
        : lab.pop3.faults.add({ at: 'login', action: { do: 'err', text } }));
    const name = kind === 'imap' ? 'IMAP' : 'POP';
    return [
      {
        kind,
        what: 'wrong password',
        password: 'not-it',
        step: 'login',
        found: /refused/i,
        advice: /Check user name and password/,
      },
      {
        kind,
        what: 'mailbox not found',
        server: { user: 'nobody@example.org' },
        password: 'secret',
        step: 'login',
        found: /refused/i,
        advice: /Check user name/,
      },
      {
        kind,
        what: `${name} disabled, as Gmail says it`,
        arrange: says(
          kind === 'imap'
            ? '[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page.'
            : '[SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page.',
        ),
        step: 'login',
        found: /not enabled for/,
        advice: new RegExp(`Switch ${name} on`),
      },
      {
        kind,
        what: 'app password needed',
        password: 'secret',
        arrange: says('Application-specific password required'),
        step: 'login',
        found: /Application-specific password/,
        advice: /Make an app password/,
      },
    ];
  }),
  {
    kind: 'imap',
    what: 'IMAP disabled, as Exchange says it',
    arrange: ({ imap }) =>
      void imap.faults.add({
        at: 'login',
        action: { do: 'no', text: 'User is authenticated but not connected.' },
      }),
    step: 'login',
    found: /IMAP may be switched off/,
    advice: /Switch IMAP on for it \(Set-CASMailbox\)/,
  },
  // Last: this is not undone.
  {
    kind: 'pop3',
    what: 'sign-in revoked',
    arrange: ({ oauth }) => oauth.grants.revoke(DESK),
    step: 'login',
    found: /revoked/,
    advice: /sign in|authorize/i,
  },
];

function draftOf(lab: OauthSite, mailbox: Mailbox, wrong: Wrong): Mailbox {
  const { server, oauth } = mailbox.settings;
  const { tokenUrl, ...others } = wrong.oauth ?? {};
  const tls = wrong.server?.tlsCa === 'oauth' ? { tlsCa: lab.oauth.certificate.cert } : {};
  const settings: MailboxSettings = {
    ...mailbox.settings,
    server: {
      ...server,
      ...wrong.server,
      ...tls,
      ...(wrong.password === undefined ? {} : { auth: 'password' }),
    },
    oauth:
      wrong.password === undefined
        ? {
            ...oauth!,
            ...others,
            ...(tokenUrl === undefined ? {} : { tokenUrl: lab.oauth.microsoftUrl('token', tokenUrl!) }),
          }
        : defaultMailboxSettings('', '', wrong.kind).oauth,
    folders: wrong.folders ?? mailbox.settings.folders,
  };
  return { ...mailbox, settings };
}

it('names each fault and says what to change', async () => {
  const lab = await startOauthSite();
  lab.graph.addMailbox('unlicensed@example.org', false);
  const mend = (): void => {
    lab.oauth.grants.clients.set('app', { secret: 'the-client-secret' });
    lab.gmail.trouble.clear();
    for (const { faults } of [lab.graph, lab.gmail, lab.imap, lab.pop3]) faults.clear();
  };
  const mailboxes = new Map<SourceKind, Mailbox>();
  for (const kind of KINDS) mailboxes.set(kind, await lab.addMailbox(kind));
  const { sources } = lab.site.runtime;
  const never = (): AbortSignal => new AbortController().signal;
  for (const [kind, mailbox] of mailboxes) {
    const steps = await sources.diagnose(mailbox, never());
    expect(
      steps.filter(({ ok }) => !ok),
      kind,
    ).toEqual([]);
  }
  for (const wrong of TABLE) {
    const mailbox = mailboxes.get(wrong.kind)!;
    wrong.arrange?.(lab);
    const secrets = { ...(await sources.secrets(credentialId(mailbox.id))), ...wrong.secrets };
    const password = wrong.password === undefined ? {} : { password: wrong.password };
    const steps = await sources.diagnoseDraft(
      draftOf(lab, mailbox, wrong),
      { ...secrets, ...password },
      never(),
    );
    const last = steps.at(-1)!;
    const about = `${wrong.kind}, ${wrong.what}: ${JSON.stringify(last)}`;
    expect(last, about).toMatchObject({ step: wrong.step, ok: false });
    expect.soft(last.found, about).toMatch(wrong.found);
    expect.soft(last.advice, about).toMatch(wrong.advice);
    mend();
  }
});
