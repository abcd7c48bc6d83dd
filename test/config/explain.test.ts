import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explainConfig, explainConfigJson, maskUrl } from '../../src/config/explain.ts';
import { loadConfig } from '../../src/config/load.ts';
import { SETTINGS } from '../../src/config/settings.ts';
import { tempFolder } from '../support/folder.ts';

async function loadedWith(env: NodeJS.ProcessEnv) {
  const file = join(await tempFolder(), 'penstock.yaml');
  await writeFile(file, 'server:\n  host: 0.0.0.0\n');
  const all = { ...env, PENSTOCK_CONFIG: file };
  return { file, env: all, loaded: await loadConfig(all) };
}

const SECRETS = {
  DATABASE_URL: 'postgres://penstock:very-secret@db:5432/penstock?password=also-secret',
  REDIS_URL: 'redis://:third-secret@redis:6379',
};

describe('config check', () => {
  it('has every setting with its value and where it came from', async () => {
    const { loaded, env, file } = await loadedWith({ PENSTOCK_PORT: '9000' });
    const explanation = explainConfigJson(loaded, env);
    expect(explanation.file).toBe(file);
    expect(explanation.settings.map(({ setting }) => setting)).toEqual(SETTINGS.map(({ path }) => path));
    const find = (name: string) => explanation.settings.find(({ setting }) => setting === name);
    expect(find('server.port')).toEqual({
      setting: 'server.port',
      env: 'PENSTOCK_PORT',
      value: 9000,
      from: 'PENSTOCK_PORT',
      default: 8080,
      allowed: 'a whole number from 0 to 65535',
      about: expect.stringContaining('Port'),
    });
    expect(find('server.host')).toMatchObject({ value: '0.0.0.0', from: 'file' });
    expect(find('data')).toMatchObject({ value: './data', from: 'default' });
    expect(explanation.warnings).toEqual([]);
  });

  it('prints aligned lines', async () => {
    const { loaded, env, file } = await loadedWith({ PENSTOCK_PORT: '9000' });
    const lines = explainConfig(loaded, env).split('\n');
    expect(lines[0]).toBe(`Configuration file: ${file}`);
    expect(lines).toHaveLength(SETTINGS.length + 2);
    expect(lines.find((line) => line.startsWith('server.port '))).toMatch(
      /^server\.port +9000 +PENSTOCK_PORT$/,
    );
    const columns = lines.slice(2).map((line) => /^\S+ +/.exec(line)![0].length);
    expect(new Set(columns).size).toBe(1);
  });

  it('says so when there is no file', async () => {
    const { loaded, env } = await loadedWith({});
    expect(explainConfig({ ...loaded, file: null }, env)).toMatch(/^No configuration file\./);
  });

  it('shows no secret, in no form', async () => {
    const { loaded, env } = await loadedWith(SECRETS);
    const all = JSON.stringify(explainConfigJson(loaded, env)) + explainConfig(loaded, env);
    expect(all).not.toMatch(/very-secret|also-secret|third-secret/);
    expect(all).toContain('postgres://penstock:***@db:5432/penstock?***');
    expect(all).toContain('redis://:***@redis:6379');
  });

  it('warns of a variable that is probably misspelt', async () => {
    const { loaded, env } = await loadedWith({ PENSTOCK_PROT: '80' });
    expect(explainConfigJson(loaded, env).warnings).toEqual([
      'PENSTOCK_PROT is set, but there is no such setting.',
    ]);
    expect(explainConfig(loaded, env)).toMatch(/Warning: PENSTOCK_PROT is set/);
  });
});

describe('masked URLs', () => {
  it.each([
    ['postgres://u:p@h:5432/d', 'postgres://u:***@h:5432/d'],
    ['postgres://u@h/d', 'postgres://u@h/d'],
    ['postgres:///d?host=/run/postgresql', 'postgres:///d?***'],
    ['redis://h:6379/0', 'redis://h:6379/0'],
    ['rediss://:p@h', 'rediss://:***@h'],
    ['postgres://u:p@ss:word@h/d', 'postgres://u:***@h/d'],
    // What stands before the @ would be taken for host and port.
    ['postgres://u:12#3@h/d', '***'],
    ['postgres://u:12/3@h/d', '***'],
    ['postgres://u:12?3@h/d', '***'],
    ['postgres://u:pa/ss@h/d', '***'],
    ['not a url', '***'],
  ])('%s becomes %s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});
