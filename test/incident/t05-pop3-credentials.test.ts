/** Why a login fails decides what happens next: only refused credentials need a person, and they are not hammered. */
import { describe, expect, it } from 'vitest';
import { Poller } from '../../src/intake/poller.ts';
import type { LabPop3Options, LabPop3Server } from '../../src/lab/pop3/server.ts';
import { budgetedSource } from '../../src/source/budgeted-source.ts';
import { ConnectionBudget } from '../../src/source/connection-budget.ts';
import { type Intake, startPop3Intake } from '../support/intake.ts';
import { until } from '../support/site.ts';

async function started(
  options: LabPop3Options,
  prepare: (intake: Intake<LabPop3Server>) => void,
): Promise<{ intake: Intake<LabPop3Server>; poller: Poller; budget: ConnectionBudget }> {
  const intake = await startPop3Intake({ pollSeconds: 1 }, options);
  prepare(intake);
  const budget = new ConnectionBudget({ connections: 1, connectsPerMinute: 1_000 });
  const poller = new Poller(
    intake.context,
    intake.held,
    budgetedSource(intake.source(), 'lab', budget),
    false,
  );
  poller.start();
  return { intake, poller, budget };
}

describe('T5 T17 what a refusal means', () => {
  it('T5.3 three refused logins, then a person must act, and nobody tries again for an hour', async () => {
    const { intake, poller } = await started({}, ({ server }) => {
      server.faults.add({ at: 'login', action: { do: 'err', text: '[AUTH] wrong' } });
    });
    await until(() => intake.toldOf('mailbox.failed').length === 1);
    expect(intake.toldOf('mailbox.failed')[0]).toMatchObject({ code: 'auth_failed' });
    poller.wake();
    await until(() => intake.toldOf('mailbox.failed').length === 2);
    poller.wake();
    await until(() => intake.toldOf('mailbox.blocked').length === 1);
    expect(intake.server.countCommands('PASS')).toBe(3);
    await poller.stop();
  });

  it('T17 a mailbox in use is tried again, and never blocked', async () => {
    const { intake, poller } = await started({}, ({ server }) => {
      server.faults.add({ at: 'login', action: { do: 'err', text: '[IN-USE] locked' }, times: 4 });
    });
    for (let round = 1; round <= 4; round += 1) {
      await until(() => intake.toldOf('mailbox.failed').length === round);
      poller.wake();
    }
    await until(() => intake.toldOf('mailbox.listed').length > 0);
    expect(intake.toldOf('mailbox.failed').map(({ code }) => code)).toEqual(Array(4).fill('mailbox_in_use'));
    expect(intake.toldOf('mailbox.blocked')).toEqual([]);
    await poller.stop();
  });

  it('T17 a permanent problem of the server is told to a person', async () => {
    const { intake, poller } = await started({}, ({ server }) => {
      server.faults.add({ at: 'login', action: { do: 'err', text: '[SYS/PERM] closed' } });
    });
    for (let round = 1; round <= 2; round += 1) {
      await until(() => intake.toldOf('mailbox.failed').length === round);
      poller.wake();
    }
    await until(() => intake.toldOf('mailbox.blocked').length === 1);
    expect(intake.toldOf('mailbox.blocked')[0]).toMatchObject({ code: 'server_refused' });
    await poller.stop();
  });

  it('T17.1 a server that wants time between two logins gets it, poll after poll and whoever asks', async () => {
    const { intake, poller } = await started(
      { loginDelay: 2, also: ['LOGIN-DELAY 2'] },
      ({ deliver }) => void deliver(['m1']),
    );
    await until(() => intake.toldOf('mailbox.listed').length === 1);
    poller.wake();
    await until(() => intake.toldOf('mailbox.listed').length === 2);
    poller.wake();
    await until(() => intake.toldOf('mailbox.listed').length === 3);
    expect(intake.toldOf('mailbox.failed')).toEqual([]);
    await poller.stop();
  });

  it('T17.2 a mailbox that waits holds no connection, and no place among those of its host', async () => {
    const { intake, poller, budget } = await started({}, ({ deliver }) => void deliver(['m1']));
    await until(() => intake.toldOf('mailbox.listed').length > 0);
    await until(() => intake.server.connections === 0 && budget.usage('lab').open === 0);
    // With the only place taken, the next poll waits its turn.
    const release = await budget.acquire('lab', new AbortController().signal);
    const logins = intake.server.countCommands('PASS');
    await until(() => budget.usage('lab').waiting === 1);
    expect(intake.server.countCommands('PASS')).toBe(logins);
    release();
    await until(() => intake.server.countCommands('PASS') > logins);
    await poller.stop();
  });

  it('T4b.2 failures far apart are not failures in a row', async () => {
    const { intake, poller } = await started({}, () => undefined);
    await until(() => intake.toldOf('mailbox.listed').length >= 2);
    expect(intake.server.accepted).toBeGreaterThanOrEqual(2);
    intake.server.faults.add({ at: 'uidl', action: { do: 'drop' }, times: 1 });
    await until(() => intake.toldOf('mailbox.failed').length === 1);
    expect(intake.toldOf('mailbox.failed')[0]).toMatchObject({ consecutive: 1, code: 'connection_lost' });
    await until(() => intake.toldOf('mailbox.recovered').length >= 1);
    // Once, however many passes follow.
    const listed = intake.toldOf('mailbox.listed').length;
    await until(() => intake.toldOf('mailbox.listed').length >= listed + 3);
    expect(intake.toldOf('mailbox.recovered')).toHaveLength(1);
    await poller.stop();
  });
});
