import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { configurationPage, shippedFile } from '../../src/config/reference.ts';
import { SETTINGS, type Setting } from '../../src/config/settings.ts';

const settings: readonly Setting[] = SETTINGS;

describe('written from the table of settings', () => {
  // Stale? `npm test -- test/config -u` writes them anew.
  it('the operators have the current reference', async () => {
    await expect(configurationPage()).toMatchFileSnapshot('../../docs/operator/configuration.md');
  });

  it('the shipped file is current', async () => {
    await expect(shippedFile()).toMatchFileSnapshot('../../config/penstock.yaml');
  });

  it('the reference names every setting and variable', () => {
    const page = configurationPage();
    for (const { path, env, about } of settings) {
      expect(page).toContain(`\`${path}\``);
      expect(page).toContain(`\`${env}\``);
      expect(page).toContain(about);
    }
  });
});

describe('the shipped file', () => {
  const file = new URL('../../config/penstock.yaml', import.meta.url).pathname;

  it('has only comments, so that defaults rule', async () => {
    expect(parse(await readFile(file, 'utf8'))).toBeNull();
    const { origins } = await loadConfig({ PENSTOCK_CONFIG: file });
    expect(origins.filter(({ from }) => from !== 'default')).toEqual([]);
  });

  it('with its comment marks removed says exactly the defaults', async () => {
    const text = await readFile(file, 'utf8');
    // The head are sentences; the settings follow the first empty line.
    const body = text.slice(text.indexOf('\n\n'));
    const document = parse(body.replaceAll(/^# /gm, '')) as Record<string, unknown>;
    for (const setting of settings) {
      const value = setting.path
        .split('.')
        .reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], document);
      expect(value, setting.path).toEqual(setting.default);
    }
  });
});
