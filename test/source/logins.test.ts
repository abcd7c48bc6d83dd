/** Which of several credentials is used, and what is told of them. */
import { describe, expect, it } from 'vitest';
import { fail, type PenstockError } from '../../src/errors.ts';
import { type Login, type LoginOption, makeLogins, withLogin } from '../../src/source/logins.ts';
import type { Credential } from '../../src/source/oauth/credential.ts';

const REFUSED = fail('auth_failed', 'no');
const password = (name: string, refused = false): LoginOption => ({
  name,
  with: { kind: 'password', password: name },
  refused,
});
const oauth = (name: string): LoginOption => ({
  name,
  with: { kind: 'oauth', credential: { id: name } as Credential },
  refused: false,
});
const lacking = (name: string): LoginOption => ({
  name,
  with: { kind: 'nothing', error: fail('sign_in_needed', `${name} lacks something`) },
  refused: false,
});

/** Credentials whose tokens are what `tokens` says, or that fail. */
function chain(options: LoginOption[], tokens: Record<string, string | PenstockError> = {}) {
  const told: string[] = [];
  const logins = makeLogins(
    options,
    {
      async token({ id }) {
        const found = tokens[id] ?? fail('internal', `no token for ${id}`);
        if (typeof found === 'string') return found;
        throw found;
      },
      async rejected({ id }, token) {
        told.push(`rejected ${id} ${token}`);
        // One that had only ended is replaced.
        if (token === 'old') tokens[id] = 'new';
      },
    },
    {
      used: (name) => void told.push(`used ${name}`),
      refused: (name, error) => void told.push(`${error === null ? 'good' : 'refused'} ${name}`),
    },
  );
  return { logins, told, tokens };
}

/** A server that lets in who logs in with one of these. */
const server =
  (...good: string[]) =>
  async (login: Login): Promise<string> => {
    const said = login.kind === 'password' ? login.password : login.token;
    if (!good.includes(said)) throw REFUSED;
    return said;
  };

describe('the first usable credential', () => {
  it('is used, and told once', async () => {
    const { logins, told } = chain([password('a'), password('b')]);
    for (let round = 0; round < 3; round += 1) expect(await withLogin(logins, server('a', 'b'))).toBe('a');
    expect(told).toEqual(['used a']);
  });

  it('is the next one when the server refuses one, which is not tried again while that works', async () => {
    const { logins, told } = chain([password('a'), password('b'), password('c')]);
    expect(await withLogin(logins, server('b', 'c'))).toBe('b');
    expect(await withLogin(logins, server('a', 'b', 'c'))).toBe('b');
    expect(told).toEqual(['used a', 'refused a', 'used b']);
  });

  it('is one that was refused before, when nothing else is left, and then it counts again', async () => {
    const { logins, told } = chain([password('a', true), password('b')]);
    await expect(withLogin(logins, server())).rejects.toBe(REFUSED);
    expect(told).toEqual(['used b', 'refused b']);
    expect(await withLogin(logins, server('a'))).toBe('a');
    expect(told.slice(2)).toEqual(['used a', 'good a']);
  });

  it('is not one that lacks something, as long as another has everything', async () => {
    expect(await withLogin(chain([lacking('a'), password('b')]).logins, server('b'))).toBe('b');
    await expect(chain([lacking('a'), lacking('b')]).logins.get()).rejects.toMatchObject({
      message: 'a lacks something',
    });
  });

  it('may change in mid-run when there is no token any more', async () => {
    const { logins, told, tokens } = chain([oauth('a'), oauth('b')], { a: 'x', b: 'y' });
    expect(await logins.get()).toEqual({ kind: 'xoauth2', token: 'x' });
    tokens.a = fail('credential_expired', 'the secret has ended');
    expect(await logins.get()).toEqual({ kind: 'xoauth2', token: 'y' });
    expect(told).toEqual(['used a', 'used b']);
  });
});

describe('a token that the server refuses', () => {
  it('is replaced first', async () => {
    const { logins, told } = chain([oauth('a'), oauth('b')], { a: 'old', b: 'y' });
    expect(await withLogin(logins, server('new', 'y'))).toBe('new');
    expect(told).toEqual(['used a', 'rejected a old']);
  });

  it('leads to the next credential when there is no better one', async () => {
    const { logins, told } = chain([oauth('a'), password('b')], { a: 'old' });
    expect(await withLogin(logins, server('b'))).toBe('b');
    expect(told).toEqual(['used a', 'rejected a old', 'rejected a new', 'refused a', 'used b']);
  });

  it('ends the attempt when it is the only one', async () => {
    const { logins } = chain([oauth('a')], { a: 'x' });
    let attempts = 0;
    const attempt = async (): Promise<never> => {
      attempts += 1;
      throw REFUSED;
    };
    await expect(withLogin(logins, attempt)).rejects.toBe(REFUSED);
    expect(attempts).toBe(1);
  });
});

it('waits for what may pass by itself, before it asks a server again that refused', async () => {
  const busy = fail('server_busy', 'wait', { backoffMs: 5 });
  const { logins } = chain([password('a', true), oauth('b')], { b: busy });
  await expect(logins.get()).rejects.toBe(busy);
});

it('does not take another failure for a refusal', async () => {
  const { logins, told } = chain([password('a'), password('b')]);
  const lost = fail('connection_lost', 'gone');
  const attempt = async (): Promise<never> => {
    throw lost;
  };
  await expect(withLogin(logins, attempt)).rejects.toBe(lost);
  expect(told).toEqual(['used a']);
});
