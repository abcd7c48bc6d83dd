import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { allowed, loadConfig } from '../../src/config/load.ts';
import { SETTINGS, type Setting } from '../../src/config/settings.ts';
import { PenstockError } from '../../src/errors.ts';
import { tempFolder } from '../support/folder.ts';

const settings: readonly Setting[] = SETTINGS;

async function fileWith(text: string): Promise<string> {
  const file = join(await tempFolder(), 'penstock.yaml');
  await writeFile(file, text);
  return file;
}

/** Loads a file with this text, under these variables and no others. */
async function load(text: string, env: NodeJS.ProcessEnv = {}) {
  return await loadConfig({ ...env, PENSTOCK_CONFIG: await fileWith(text) });
}

/** The error that stops the start. */
async function refusal(text: string, env: NodeJS.ProcessEnv = {}): Promise<PenstockError> {
  try {
    await load(text, env);
  } catch (error) {
    if (error instanceof PenstockError) return error;
    throw error;
  }
  throw new Error('The configuration was accepted.');
}

/** YAML that sets one setting. */
function yamlFor(path: string, value: unknown): string {
  const keys = path.split('.').reverse();
  return stringify(keys.reduce((inner: unknown, key) => ({ [key]: inner }), value));
}

/** Values that a setting must refuse, as they stand in a variable and in the file. */
function wrongValues(setting: Setting): { env: string[]; file: unknown[] } {
  const words = allowed(setting);
  if (words.startsWith('a whole number')) {
    return {
      env: ['abc', '1.5', '-1', ' ', '0x50', '1e3', '99999999999999999999'],
      file: ['8', 1.5, -1, true, [1]],
    };
  }
  if (words === 'true or false') return { env: ['maybe', '2'], file: ['true', 1, {}] };
  if (words.startsWith('one of')) return { env: ['nonsense', 'INFO'], file: ['nonsense', 5, []] };
  if (words.startsWith('a list of'))
    return { env: ['nonsense', 'api,nonsense', 'api,api', ','], file: ['api', [], ['x'], [1]] };
  if (words.startsWith('hosts'))
    return { env: ['https://example.org', 'a b', 'a,a', ','], file: ['x', [1], [''], ['a', 'a']] };
  if (words.startsWith('a URL'))
    return { env: ['localhost:5432', 'ftp://host/', 'postgres://', 'redis://'], file: ['', 5, ['x']] };
  if (words === 'text that is not empty') return { env: [], file: ['', 5, true, [], {}] };
  return { env: [], file: [5, true, []] };
}

const wrongInEnvironment = settings.flatMap((setting) =>
  wrongValues(setting)
    .env.filter((value) => !(value === '99999999999999999999' && !/ to /.test(allowed(setting))))
    .map((value) => ({ setting, name: setting.env, value })),
);
const wrongInFile = settings.flatMap((setting) =>
  wrongValues(setting).file.map((value) => ({ setting, name: setting.path, value })),
);

describe('a wrong value stops the start with one line', () => {
  it('has wrong values for every setting', () => {
    const covered = new Set([...wrongInEnvironment, ...wrongInFile].map(({ setting }) => setting.path));
    expect(covered.size).toBe(settings.length);
  });

  it.each(wrongInEnvironment)('$name=$value', async ({ setting, value }) => {
    const error = await refusal('', { [setting.env]: value });
    expect(error.code).toBe('config_invalid');
    const shown = setting.secret ? '(secret)' : value;
    expect(error.message).toBe(`${setting.env} is ${shown}, but must be ${allowed(setting)}.`);
    expect(error.fields.setting).toBe(setting.path);
  });

  it.each(wrongInFile)('$name: $value in the file', async ({ setting, value }) => {
    const error = await refusal(yamlFor(setting.path, value));
    expect(error.code).toBe('config_invalid');
    const shown = setting.secret ? '(secret)' : JSON.stringify(value);
    expect(error.message).toBe(`${setting.path} is ${shown}, but must be ${allowed(setting)}.`);
  });

  it('says it in words a person understands', async () => {
    expect((await refusal('', { PENSTOCK_PORT: 'tcp://10.0.0.1:80' })).message).toBe(
      'PENSTOCK_PORT is tcp://10.0.0.1:80, but must be a whole number from 0 to 65535.',
    );
    expect((await refusal('', { PENSTOCK_ROLES: 'api,web' })).message).toBe(
      'PENSTOCK_ROLES is api,web, but must be a list of api, poller, worker.',
    );
    expect((await refusal('', { DATABASE_URL: 'mysql://u:geheim@h/d' })).message).toBe(
      'DATABASE_URL is (secret), but must be a URL that begins with postgres:// or postgresql://.',
    );
  });
});

describe('a file that is not as it should be', () => {
  it.each([
    ['server:\n  prot: 80\n', /there is no setting server\.prot\.$/],
    ['servers: {}\n', /there is no setting servers\.$/],
    ['server: 8080\n', /server must be a map of settings\.$/],
    ['server: [1]\n', /server must be a map of settings\.$/],
    ['just text\n', /the file must be a map of settings\.$/],
    ['- a\n- b\n', /the file must be a map of settings\.$/],
    ['__proto__:\n  x: 1\n', /there is no setting __proto__\.$/],
    ['server:\n  constructor: 1\n', /there is no setting server\.constructor\.$/],
    ['data: {a: [}\n', /is not YAML: .+ at line 1, column \d+$/],
    ['data: a\ndata: b\n', /is not YAML: .+/],
  ])('%j', async (text, message) => {
    const error = await refusal(text);
    expect(error.code).toBe('config_invalid');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
  });

  it('stops when the file that was named is not there', async () => {
    const file = join(await tempFolder(), 'missing.yaml');
    await expect(loadConfig({ PENSTOCK_CONFIG: file })).rejects.toMatchObject({
      code: 'config_invalid',
      message: `The configuration file ${file} cannot be read.`,
    });
  });

  it.each(['', '# only a comment\n', 'server:\n', 'server:\n  port:\n'])(
    'takes %j for nothing said',
    async (text) => {
      const { config } = await load(text);
      expect(config.server.port).toBe(8080);
    },
  );
});

describe('where a value comes from', () => {
  const origin = (loaded: Awaited<ReturnType<typeof load>>, path: string) =>
    loaded.origins.find(({ setting }) => setting.path === path);

  it('takes defaults for everything when nothing is said', async () => {
    const loaded = await load('');
    for (const setting of settings) {
      expect(origin(loaded, setting.path), setting.path).toEqual({
        setting,
        value: setting.default,
        from: 'default',
      });
    }
    expect(loaded.config.server).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(loaded.config.data).toBe('./data');
  });

  it('puts the file over the default and the environment over the file', async () => {
    const text = 'server:\n  port: 9001\n  host: 0.0.0.0\nmail:\n  mustMatchRule: true\n';
    const loaded = await load(text, { PENSTOCK_PORT: '9002', PENSTOCK_LOG_LEVEL: 'debug' });
    expect(origin(loaded, 'server.port')).toMatchObject({ value: 9002, from: 'PENSTOCK_PORT' });
    expect(origin(loaded, 'server.host')).toMatchObject({ value: '0.0.0.0', from: 'file' });
    expect(origin(loaded, 'log.level')).toMatchObject({ value: 'debug', from: 'PENSTOCK_LOG_LEVEL' });
    expect(origin(loaded, 'log.format')).toMatchObject({ value: 'auto', from: 'default' });
    expect(loaded.config.server).toMatchObject({ port: 9002, host: '0.0.0.0' });
    expect(loaded.config.mail.mustMatchRule).toBe(true);
  });

  it('takes an empty variable for one that is not set', async () => {
    const loaded = await load('server:\n  port: 9001\n', { PENSTOCK_PORT: '' });
    expect(loaded.config.server.port).toBe(9001);
  });

  it.each([
    ['true', true],
    ['1', true],
    ['YES', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['No', false],
    ['off', false],
  ])('reads the switch %s', async (text, value) => {
    expect((await load('', { PENSTOCK_TRUST_PROXY: text })).config.server.trustProxy).toBe(value);
  });

  it('reads lists, and URLs of every kind that is allowed', async () => {
    const { config } = await load('', {
      PENSTOCK_ROLES: 'api, worker',
      DATABASE_URL: 'postgresql://u:p@db:5432/penstock?sslmode=require',
      REDIS_URL: 'rediss://:p@redis:6380/1',
      PENSTOCK_PUBLIC_URL: 'https://mail.example',
    });
    expect(config.roles).toEqual(['api', 'worker']);
    expect(config.database.url).toBe('postgresql://u:p@db:5432/penstock?sslmode=require');
    expect(config.queue.redisUrl).toBe('rediss://:p@redis:6380/1');
    expect(config.server.publicUrl).toBe('https://mail.example');
  });

  it('has a default for every setting that its own schema allows', async () => {
    for (const setting of settings) {
      if (setting.default === null) continue;
      await expect(load(yamlFor(setting.path, setting.default)), setting.path).resolves.toBeDefined();
    }
  });

  it('has no two settings with the same name', () => {
    expect(new Set(settings.map((setting) => setting.path)).size).toBe(settings.length);
    expect(new Set(settings.map((setting) => setting.env)).size).toBe(settings.length);
  });
});
