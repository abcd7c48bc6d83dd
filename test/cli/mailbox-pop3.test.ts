/** A POP3 mailbox from the command line: added, tried, polled by a daemon, audited. */
import { describe, expect, it } from 'vitest';
import { runCommand } from '../support/command.ts';
import { simpleMessage } from '../support/messages.ts';
import { startDaemon } from '../support/pipe.ts';
import { Site } from '../support/site.ts';

async function add(site: Site, ...options: string[]): ReturnType<typeof runCommand> {
  const where = ['--type', 'pop3', '--host', '127.0.0.1', '--tls', 'none', '--port', String(site.pop3.port)];
  const who = ['--user', 'ann', '--password-stdin', '--poll', '1'];
  return await runCommand(['mailbox', 'add', ...where, ...who, ...options], {
    env: site.env,
    input: 'secret',
  });
}

describe('penstock mailbox add --type pop3', () => {
  it('adds what works, and the daemon takes its mail to the last one', async () => {
    const site = await Site.start({ backend: 'postgres' });
    site.server.addUser('ann', { password: 'secret' });
    const added = await add(site, '--test', '--after', 'delete', '--json');
    expect(added.code, added.stderr).toBe(0);
    const { id } = JSON.parse(added.stdout) as { id: number };
    for (let index = 1; index <= 3; index += 1) site.deliver('ann', simpleMessage(`m${index}`));
    startDaemon(site);
    await site.waitUntilProcessed();
    expect(site.server.messages('ann')).toHaveLength(0);
    const audit = await runCommand(['audit', '--json'], { env: site.env });
    expect(audit.code, audit.stderr).toBe(0);
    const tested = await runCommand(['mailbox', 'test', String(id), '--json'], { env: site.env });
    const steps = JSON.parse(tested.stdout) as { step: string; found: string }[];
    expect(steps.map(({ step }) => step)).toEqual([
      'dns',
      'tcp',
      'greeting',
      'capabilities',
      'login',
      ...(tested.code === 0 ? ['folders'] : []),
    ]);
  });

  it('says what POP3 cannot do', async () => {
    const site = await Site.start({ backend: 'postgres' });
    for (const [options, message] of [
      [['--after', 'seen'], '--after cannot be seen: POP3 can leave or delete messages'],
      [['--after', 'move', '--after-folder', 'Done'], '--after cannot be move'],
      [['--folder', 'Spam'], '--folder must be INBOX alone'],
      [
        ['--first-sync', '2026-01-01'],
        '--first-sync must be all or now: POP3 does not tell when a message arrived',
      ],
    ] as const) {
      const { code, stderr } = await add(site, ...options);
      expect(code).not.toBe(0);
      expect(stderr).toContain(message);
    }
  });
});
