/** What `penstock config check` prints: every setting, its value, and where the value came from. */
import { allowed, type LoadedConfig, type Origin } from './load.ts';
import { SETTINGS } from './settings.ts';

export interface ExplainedSetting {
  setting: string;
  env: string;
  /** Masked when it is a secret. */
  value: unknown;
  /** `default`, `file` or the name of the environment variable. */
  from: string;
  default: unknown;
  allowed: string;
  about: string;
}

export interface ConfigExplanation {
  /** The file that was read, or null. */
  file: string | null;
  settings: ExplainedSetting[];
  /** What is allowed but probably not meant. */
  warnings: string[];
}

/** Variables that are read, but are no settings. */
const OTHER_VARIABLES = [
  'PENSTOCK_CONFIG',
  'PENSTOCK_LAUNCHER_FD',
  'PENSTOCK_CRASH_AT',
  'PENSTOCK_CRASH_AFTER',
];

/** The effective configuration as data, with secrets masked. */
export function explainConfigJson(
  loaded: LoadedConfig,
  env: NodeJS.ProcessEnv = process.env,
): ConfigExplanation {
  const settings = loaded.origins.map((origin) => ({
    setting: origin.setting.path,
    env: origin.setting.env,
    value: shown(origin),
    from: origin.from,
    default: origin.setting.default,
    allowed: allowed(origin.setting),
    about: origin.setting.about,
  }));
  return { file: loaded.file, settings, warnings: unknownVariables(env) };
}

/** The effective configuration as lines for a person. */
export function explainConfig(loaded: LoadedConfig, env: NodeJS.ProcessEnv = process.env): string {
  const { file, settings, warnings } = explainConfigJson(loaded, env);
  const rows = settings.map(({ setting, value, from }) => [setting, asText(value), from]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map(
    ([name, value, from]) => `${name!.padEnd(widths[0]!)}  ${value!.padEnd(widths[1]!)}  ${from}`,
  );
  const head = file === null ? 'No configuration file.' : `Configuration file: ${file}`;
  return [head, '', ...lines, ...warnings.map((warning) => `\nWarning: ${warning}`)].join('\n');
}

function shown({ setting, value }: Origin): unknown {
  return setting.secret && typeof value === 'string' ? maskUrl(value) : value;
}

/**
 * A URL of a server without its password. What is not clearly safe is left out: the query may hold a password
 * too, and a password with odd characters makes a URL that reads differently from what was meant.
 */
export function maskUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isUnderstood = url !== null && (!text.includes('@') || url.username !== '' || url.password !== '');
  if (!isUnderstood || url.hash !== '') return '***';
  const login = url.password === '' ? url.username : `${url.username}:***`;
  return `${url.protocol}//${login === '' ? '' : `${login}@`}${url.host}${url.pathname}${url.search === '' ? '' : '?***'}`;
}

function asText(value: unknown): string {
  if (value === null) return '(none)';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return '(empty)';
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** Not an error: Kubernetes sets PENSTOCK_SERVICE_HOST and the like for a service of this name. */
function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set<string>([...SETTINGS.map((setting) => setting.env), ...OTHER_VARIABLES]);
  return Object.keys(env)
    .filter((name) => name.startsWith('PENSTOCK_') && !known.has(name))
    .sort()
    .map((name) => `${name} is set, but there is no such setting.`);
}
