/** Reads the configuration: defaults, then the file, then the environment. Later ones win. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import Schema from 'typebox/schema';
import { parse as parseYaml } from 'yaml';
import { fail } from '../errors.ts';
import { type Config, SETTINGS, type Setting } from './settings.ts';

export interface Origin {
  setting: Setting;
  value: unknown;
  /** `default`, `file` or the name of the environment variable. */
  from: string;
}

export interface LoadedConfig {
  config: Config;
  /** Where each value came from, in the order of the table. */
  origins: Origin[];
  /** The file that was read, or null. */
  file: string | null;
}

const DEFAULT_FILE = 'config/penstock.yaml';

/**
 * Loads and checks the configuration. `PENSTOCK_CONFIG` names another file. Fails with `config_invalid`, naming
 * the setting, its value and what is allowed.
 */
export async function loadConfig(env: NodeJS.ProcessEnv = process.env): Promise<LoadedConfig> {
  const named = env.PENSTOCK_CONFIG;
  const file = named !== undefined ? resolve(named) : existsSync(DEFAULT_FILE) ? resolve(DEFAULT_FILE) : null;
  const document = file === null ? {} : await readDocument(file);
  refuseUnknown(document, file);
  const origins = SETTINGS.map((setting) => findValue(setting, document, env));
  const config: Record<string, unknown> = {};
  for (const { setting, value } of origins) assign(config, setting.path.split('.'), value);
  return { config: config as unknown as Config, origins, file };
}

async function readDocument(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw fail('config_invalid', `The configuration file ${file} cannot be read.`, { file }, error);
  }
  try {
    return parseYaml(text) ?? {};
  } catch (error) {
    throw fail(
      'config_invalid',
      // The first line says what and where; the rest repeats the file.
      `The configuration file ${file} is not YAML: ${(error as Error).message.split('\n')[0]?.replace(/:$/, '')}`,
      { file },
      error,
    );
  }
}

/** A misspelt setting that is silently ignored costs hours, so it stops the start. */
function refuseUnknown(document: unknown, file: string | null): void {
  const known = new Set<string>(SETTINGS.map((setting) => setting.path));
  const visit = (value: unknown, path: string): void => {
    if (known.has(path)) return;
    const isGroup = path === '' || [...known].some((name) => name.startsWith(`${path}.`));
    if (!isGroup) {
      throw fail('config_invalid', `${file}: there is no setting ${path}.`, { setting: path });
    }
    // A group whose settings are all comments.
    if (value === null) return;
    if (typeof value !== 'object' || Array.isArray(value)) {
      const where = path === '' ? 'the file' : path;
      throw fail('config_invalid', `${file}: ${where} must be a map of settings.`, { setting: path });
    }
    for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
  };
  visit(document, '');
}

function findValue(setting: Setting, document: unknown, env: NodeJS.ProcessEnv): Origin {
  const given = env[setting.env];
  if (given !== undefined && given !== '') {
    const value = fromText(setting, given);
    check(setting, value, setting.env, given);
    return { setting, value, from: setting.env };
  }
  const inFile = lookUp(document, setting.path.split('.'));
  if (inFile !== undefined) {
    check(setting, inFile, setting.path, JSON.stringify(inFile));
    return { setting, value: inFile, from: 'file' };
  }
  return { setting, value: setting.default, from: 'default' };
}

function fromText(setting: Setting, given: string): unknown {
  if (Array.isArray(setting.default)) return given.split(',').map((part) => part.trim());
  // Stricter than Number(), which takes ' ' for 0 and '0x50' for 80.
  if (typeof setting.default === 'number') return /^-?\d+$/.test(given) ? Number(given) : given;
  if (typeof setting.default === 'boolean') {
    if (/^(true|1|yes|on)$/i.test(given)) return true;
    if (/^(false|0|no|off)$/i.test(given)) return false;
  }
  return given;
}

function check(setting: Setting, value: unknown, name: string, shown: string): void {
  if (Schema.Check(setting.schema, value)) return;
  const value_ = setting.secret ? '(secret)' : shown;
  throw fail('config_invalid', `${name} is ${value_}, but must be ${allowed(setting)}.`, {
    setting: setting.path,
  });
}

/** What a setting allows, in words. */
export function allowed(setting: Setting): string {
  const schema = setting.schema as unknown as SchemaWords;
  const [main] = schema.anyOf ?? [schema];
  if (main?.description) return main.description;
  if (main?.items?.enum) return `a list of ${main.items.enum.join(', ')}`;
  if (main?.enum) return `one of ${main.enum.join(', ')}`;
  if (main?.type === 'integer') {
    const { minimum, maximum } = main;
    if (minimum !== undefined && maximum !== undefined) return `a whole number from ${minimum} to ${maximum}`;
    return minimum !== undefined ? `a whole number, at least ${minimum}` : 'a whole number';
  }
  if (main?.type === 'boolean') return 'true or false';
  return main?.minLength ? 'text that is not empty' : 'text';
}

/** The parts of a JSON schema that {@link allowed} puts into words. */
interface SchemaWords {
  type?: string;
  description?: string;
  enum?: string[];
  items?: SchemaWords;
  anyOf?: SchemaWords[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
}

function lookUp(document: unknown, path: string[]): unknown {
  let value = document;
  for (const key of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value === null ? undefined : value;
}

function assign(target: Record<string, unknown>, path: string[], value: unknown): void {
  const [first, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    target[first] = value;
    return;
  }
  target[first] ??= {};
  assign(target[first] as Record<string, unknown>, rest, value);
}
