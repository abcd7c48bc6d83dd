/** What is wrong with a command is said in one line before anything is done, with the documented exit code. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/cli/exit.ts';
import { makeProgram } from '../../src/cli/program.ts';
import { runCommand } from '../support/command.ts';
import { tempFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { runPenstock } from '../support/process.ts';

let folder: string;

beforeAll(async () => {
  folder = await tempFolder('usage');
  await writeFile(join(folder, 'half.json'), '{"name":');
  await writeFile(join(folder, 'rule.json'), '{"name":"r","type":1,"patterns":[{"pattern":"(a"}]}');
  await writeFile(join(folder, 'mail.eml'), 'Subject: x\r\n\r\nBody\r\n');
  await writeFile(join(folder, 'penstock.yaml'), 'server:\n  prt: 1\n');
});

const whole = await makeProgram([]);

/** Every command with its full name. */
function allOf(parent: Command, path = 'penstock'): [string, Command][] {
  return parent.commands.flatMap((command) => {
    const name = `${path} ${command.name()}`;
    return [[name, command], ...allOf(command, name)] as [string, Command][];
  });
}

const ADD = 'mailbox add --host mail.example.org --user ann --password-stdin';

describe('a wrong command', () => {
  it.each([
    ['foo', /^penstock: unknown command 'foo'$/],
    ['mailbox foo', /^penstock: unknown command 'foo'$/],
    ['mailbox list extra', /^penstock: too many arguments for 'list'/],
    ['mailbox add --host mail.example.org', /^penstock: required option '--user <user>' not specified$/],
    ['mailbox test seven', /^penstock: .*'seven' is invalid.* It must be a whole number, at least 1\.$/],
    ['mailbox pause 0', /^penstock: .*'0' is invalid.* It must be a whole number, at least 1\.$/],
    [
      `${ADD} --port 70000`,
      /^penstock: option '--port <port>' .* It must be a whole number from 1 to 65535\.$/,
    ],
    [
      `${ADD} --poll often`,
      /^penstock: option '--poll <seconds>' .* It must be a whole number from 1 to 86400\.$/,
    ],
    [`${ADD} --max-megabytes 513`, /^penstock: option '--max-megabytes <n>' .* from 1 to 512\.$/],
    [`${ADD} --tls sslv3`, /^penstock: option '--tls <mode>' .* choices are implicit, starttls, none\.$/],
    [
      `${ADD} --token-stdin`,
      /^penstock: option '--token-stdin' cannot be used with option '--password-stdin'$/,
    ],
    [`${ADD} --after move`, /^penstock: --after-folder is needed when mail is moved afterwards\.$/],
    [`${ADD} --after move --after-folder INBOX`, /^penstock: --after-folder must not be one of the folders/],
    [`${ADD} --first-sync soon`, /^penstock: --first-sync must be all, now, or a date such as 2026-01-31\.$/],
    [`${ADD} --smtp-port 25`, /^penstock: Give the server to send by with --smtp-host\.$/],
    [`${ADD} --from ann@example.org`, /^penstock: Give the server to send by with --smtp-host\.$/],
    [
      `${ADD} --smtp-host smtp.example.org`,
      /^penstock: Give the address that mail goes out from with --from\.$/,
    ],
    [`${ADD} --smtp-host smtp.example.org --from ann`, /^penstock: --from must be an address\.$/],
    [
      `${ADD} --smtp-host smtp.example.org --from a@b.example --smtp-password-file none`,
      /^penstock: none cannot be read\.$/,
    ],
    [
      'mailbox add --host mail.example.org --user a@b.example --token-stdin --smtp-host smtp.example.org',
      /^penstock: A given token is not good for sending: use --smtp-password-file\.$/,
    ],
    ['mailbox add --host mail.example.org --user ann', /^penstock: Give the password with --password-stdin/],
    ['client create', /^penstock: required option '--name <name>' not specified$/],
    [
      'client create --name x --scope evrything',
      /^penstock: There is no scope evrything; it must be one of all, /,
    ],
    ['audit --settle long', /^penstock: option '--settle <seconds>' .* It must be a number from 0 to 300\.$/],
    ['import x.eml', /^penstock: required option '--mailbox <id>' not specified$/],
    [
      'demo --messages many',
      /^penstock: option '--messages <n>' .* It must be a whole number, at least 1\.$/,
    ],
    ['rules test', /^penstock: missing required argument 'message\.eml'$/],
    ['rules test --rule rule.json mail.eml', /^penstock: .*pattern/i],
    ['rules test --rule half.json mail.eml', /^penstock: half\.json is not JSON: /],
    ['rules test --rule none.json mail.eml', /^penstock: none\.json cannot be read: ENOENT\.$/],
  ])('%s', async (line, words) => {
    const told = await runCommand(line.split(' '), { cwd: folder });
    const [first, ...others] = told.stderr.trimEnd().split('\n');
    expect(first).toMatch(words);
    // Beside it one line of advice at most.
    expect(others.length, told.stderr).toBeLessThanOrEqual(1);
    expect(told).toMatchObject({ code: EXIT.usage, stdout: '' });
  });

  it.each([
    [
      'mailbox test seven',
      /^penstock: .*'seven' is invalid.* It must be a whole number, at least 1\.\n.*\n$/,
    ],
    [ADD, /^penstock: Standard input has no secret on its first line\.\n {2}Correct .*\n$/],
  ])('is told by the real program, on standard error alone: %s', async (line, words) => {
    const { code, stdout, stderr } = await runPenstock(line.split(' '), {
      cwd: folder,
      input: '',
      env: { PENSTOCK_DATA: join(folder, 'data') },
    });
    expect(stderr).toMatch(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('is a group without its command: the help, and the same exit code', async () => {
    const { code, stdout, stderr } = await runCommand(['mailbox']);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^Usage: penstock mailbox/);
  });
});

describe('config check', () => {
  const check = (env: Record<string, string>, ...args: string[]) =>
    runCommand(['config', 'check', ...args], { cwd: folder, env });

  it('prints values and where each came from, and no secret', async () => {
    const env = {
      PENSTOCK_PORT: '8123',
      DATABASE_URL: 'postgres://penstock:hunter2@db.example.org/mail',
      REDIS_URL: 'redis://:hunter3@redis.example.org',
    };
    const text = await check(env);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^server\.port +8123 +PENSTOCK_PORT$/m);
    expect(text.stdout).toMatch(/^server\.host +127\.0\.0\.1 +default$/m);
    expect(text.stdout).toMatch(
      /^database\.url +postgres:\/\/penstock:\*\*\*@db\.example\.org\/mail +DATABASE_URL$/m,
    );
    const json = await check(env, '--json');
    const { settings } = JSON.parse(json.stdout) as {
      settings: { setting: string; value: unknown; from: string }[];
    };
    expect(settings).toContainEqual(
      expect.objectContaining({ setting: 'server.port', value: 8123, from: 'PENSTOCK_PORT' }),
    );
    expect(text.output + json.output).not.toMatch(/hunter[23]/);
  });

  it.each([
    [
      { PENSTOCK_PORT: 'abc' },
      /^penstock: PENSTOCK_PORT is abc, but must be a whole number from 0 to 65535\.$/,
    ],
    [{ PENSTOCK_CONFIG: 'penstock.yaml' }, /^penstock: .*penstock\.yaml: there is no setting server\.prt\.$/],
    [
      { DATABASE_URL: 'mysql://u:hunter2@db/mail' },
      /^penstock: DATABASE_URL is \(secret\), but must be a URL that begins/,
    ],
  ] as [Record<string, string>, RegExp][])(
    'stops at a wrong value, as start does: %j',
    async (env, words) => {
      for (const run of [await check(env), await runCommand(['start'], { cwd: folder, env })]) {
        expect(run.stderr.split('\n')[0]).toMatch(words);
        expect(run.output).not.toContain('hunter2');
        expect(run).toMatchObject({ code: 2, stdout: '' });
      }
    },
  );
});

describe('a database that is away', () => {
  it('is exit code 3 for a command, and 1 with the part named for doctor', async () => {
    const url = `postgres://u:hunter2@127.0.0.1:${await freePort()}/mail`;
    const env = { DATABASE_URL: url, PENSTOCK_DATA: join(folder, 'away') };
    const list = await runCommand(['mailbox', 'list'], { cwd: folder, env });
    expect(list.stderr).toMatch(
      /^penstock: PostgreSQL does not answer: .*\n {2}Check that PostgreSQL is running.*\n$/,
    );
    expect(list).toMatchObject({ code: 3, stdout: '' });
    const doctor = await runCommand(['doctor'], { cwd: folder, env });
    expect(doctor.stdout).toMatch(
      /^FAIL +database +PostgreSQL does not answer: .* -> Check that PostgreSQL is running/m,
    );
    expect(doctor.code).toBe(1);
    expect(list.output + doctor.output).not.toContain('hunter2');
  });
});

describe('--help', () => {
  it.each(allOf(whole))('%s has an example of itself', (name, command) => {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
    const example = text.slice(text.indexOf('\nExample:\n'));
    expect(example).toMatch(/^\nExample:\n {2}\S/);
    expect(example).toContain(name);
  });

  it('of the program has exit codes and an example', async () => {
    const { code, stdout } = await runCommand(['--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Exit code: 0 it worked;');
    expect(stdout).toContain('\nExample:\n  penstock ');
    for (const group of ['mailbox', 'rules', 'audit'])
      expect(stdout).toMatch(new RegExp(`^ {2}${group}\\b`, 'm'));
  });
});
