/**
 * The reference of the configuration and the file that is shipped, both written from the table of settings. A
 * test compares them with what is in the repository; `npm test -- test/config -u` writes them anew.
 */
import { stringify } from 'yaml';
import { allowed } from './load.ts';
import { SETTINGS, type Setting } from './settings.ts';

const INTRODUCTION = `# Configuration

<!-- Written from src/config/settings.ts. Do not edit; \`npm test -- test/config -u\` writes it anew. -->

Everything has a default, so Penstock runs without any configuration. A value comes from the first of:

1. the environment variable;
2. the file, in YAML: \`config/penstock.yaml\` in the working directory, or the one that \`PENSTOCK_CONFIG\` names;
3. the default.

\`penstock config check\` prints the effective values and where each came from, with secrets masked. A wrong value or
a setting that does not exist stops the start with one line that names the setting, its value and what is allowed.
An empty environment variable counts as not set. A list in a variable is separated by commas.

In Kubernetes, a service with the name \`penstock\` makes the cluster set \`PENSTOCK_PORT\` to something else: set
\`enableServiceLinks: false\` for the pod.
`;

/** docs/operator/configuration.md. */
export function configurationPage(): string {
  const sections = groups().map(([name, settings]) => {
    // A setting that is no part of a group stands for itself.
    if (settings[0]?.path === name) return describe(settings[0], '##');
    return `## ${name}\n\n${settings.map((setting) => describe(setting, '###')).join('\n')}`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

function describe(setting: Setting, heading: string): string {
  return [
    `${heading} \`${setting.path}\``,
    '',
    setting.about,
    '',
    `- Environment: \`${setting.env}\``,
    `- Allowed: ${allowed(setting)}`,
    `- Default: ${setting.default === null || plain(setting.default) === '' ? 'none' : `\`${plain(setting.default)}\``}`,
    ...(setting.secret ? ['- Secret: masked wherever it is shown'] : []),
    '',
  ].join('\n');
}

const FILE_HEAD = `# Configuration of Penstock: every setting with its default, as a comment. Remove the # in front of a setting, and of
# the group it is in, to change it. Environment variables win over this file; \`penstock config check\` shows the result.
# Written from src/config/settings.ts.
`;

/** config/penstock.yaml: comments only, so that the defaults of the program rule. */
export function shippedFile(): string {
  const parts = groups().map(([name, settings]) => {
    const isGroup = settings.some((setting) => setting.path !== name);
    const lines = settings.map((setting) => settingLines(setting, isGroup ? '  ' : ''));
    return [...(isGroup ? [`# ${name}:`] : []), ...lines].join('\n');
  });
  return `${FILE_HEAD}\n${parts.join('\n\n')}\n`;
}

/** The meaning stands behind two marks, so that removing one mark from every line gives a file that is valid. */
function settingLines(setting: Setting, indent: string): string {
  const key = setting.path.split('.').at(-1)!;
  return [
    `# ${indent}# ${setting.about}`,
    `# ${indent}# ${setting.env}; ${allowed(setting)}`,
    `# ${indent}${key}: ${yaml(setting.default)}`,
  ].join('\n');
}

function yaml(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, singleQuote: true }).trim();
}

function plain(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** Settings by their first word, in the order of the table. */
function groups(): [name: string, settings: Setting[]][] {
  const found = new Map<string, Setting[]>();
  for (const setting of SETTINGS) {
    const name = setting.path.split('.')[0]!;
    found.set(name, [...(found.get(name) ?? []), setting]);
  }
  return [...found];
}
