/** PagerDuty and Splunk On-Call: a problem opens once, is acknowledged, and ends, whatever comes twice. */
import { describe, expect, it } from 'vitest';
import { pagerDutyBody, splunkOnCallBody } from '../../src/deliver/on-call.ts';
import { replayDeliveries } from '../../src/store/deliveries.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { Receivers, ROUTING_KEY } from '../support/receivers.ts';

const alert = (type: 'alert.opened' | 'alert.updated' | 'alert.closed' | 'ticket.updated', more = {}) =>
  outcome(1, type, { ticket: { ...outcome(1, type).ticket!, alertKey: 'disk/web1' }, ...more });

describe('PagerDuty', () => {
  it('is triggered, acknowledged and resolved in order; what is lost on the way back calls nobody twice', async () => {
    const receivers = await Receivers.start();
    const outbox = await Outbox.start();
    const settings = { url: `${receivers.origin}/v2/enqueue` };
    const destination = await outbox.add('pagerduty', { secret: ROUTING_KEY, settings });
    receivers.faults.add({ at: 'pagerduty', action: { do: 'lose' }, times: 1 });
    await outbox.tell(
      destination,
      alert('alert.opened'),
      alert('alert.updated'),
      alert('ticket.updated', { byAgent: true }),
    );
    await outbox.deliverer.run();
    await outbox.passTime(6);
    await outbox.deliverer.run();
    expect(receivers.of('pagerduty').map(({ body }) => body.event_action)).toEqual([
      'trigger',
      'trigger',
      'trigger',
      'acknowledge',
    ]);
    expect(receivers.pages.get('disk/web1')).toEqual({ state: 'acknowledged', calls: 1 });
    await outbox.tell(destination, alert('alert.closed'));
    await outbox.deliverer.run();
    expect(receivers.pages.get('disk/web1')).toEqual({ state: 'resolved', calls: 1 });
  });

  it('is not woken again by the replay of what is over', async () => {
    const receivers = await Receivers.start();
    const outbox = await Outbox.start();
    const settings = { url: `${receivers.origin}/v2/enqueue` };
    const destination = await outbox.add('pagerduty', { secret: ROUTING_KEY, settings });
    await outbox.tell(destination, alert('alert.opened'), alert('alert.closed'));
    await outbox.deliverer.run();
    const wish = { destinationId: destination.id, state: 'delivered' as const };
    const answer = await outbox.db.transaction().execute((tx) => replayDeliveries(tx, wish));
    expect(answer).toEqual({ replayed: 1, outdated: 1 });
    await outbox.deliverer.run();
    expect(receivers.pages.get('disk/web1')).toEqual({ state: 'resolved', calls: 1 });
  });

  it('that refuses an event for its content gets the next one all the same', async () => {
    const receivers = await Receivers.start();
    const outbox = await Outbox.start();
    const settings = { url: `${receivers.origin}/v2/enqueue` };
    const destination = await outbox.add('pagerduty', { secret: ROUTING_KEY, settings });
    const refused = { do: 'answer', status: 400, body: { status: 'invalid event' } } as const;
    receivers.faults.add({ at: 'pagerduty', action: refused, times: 1 });
    await outbox.tell(destination, alert('alert.opened'), alert('alert.closed'));
    await outbox.deliverer.run();
    expect(await outbox.rows()).toMatchObject([
      {
        state: 'dead',
        errorCode: 'delivery_refused',
        attempts: 1,
        error: expect.stringContaining('invalid event'),
      },
      { state: 'delivered' },
    ]);
  });

  it('gets texts that it takes, whatever a mail has', () => {
    const options = { routingKey: ROUTING_KEY, severity: 'critical' as const, instanceId: 'i', source: 's' };
    const event = alert('alert.opened');
    const long = {
      ...event,
      ticket: { ...event.ticket!, subject: 'x'.repeat(5_000), alertKey: 'k'.repeat(1_000) },
    };
    const body = pagerDutyBody(long, options) as { dedup_key: string; payload: { summary: string } };
    expect([body.dedup_key.length, body.payload.summary.length]).toEqual([64, 1_024]);
    const empty = {
      ...event,
      ticket: { ...event.ticket!, subject: '' },
      email: { ...event.email, subject: '' },
    };
    expect(pagerDutyBody(empty, options)).toMatchObject({ payload: { summary: '(no subject)' } });
  });
});

describe('Splunk On-Call', () => {
  it('gets CRITICAL, ACKNOWLEDGEMENT and RECOVERY for one entity, and its URL is never told', async () => {
    const receivers = await Receivers.start();
    const outbox = await Outbox.start();
    const destination = await outbox.add('splunk_oncall', { secret: receivers.splunkUrl });
    receivers.faults.add({ at: 'splunk', action: { do: 'answer', status: 500 }, times: 1 });
    await outbox.tell(
      destination,
      alert('alert.opened'),
      alert('ticket.updated', { byAgent: true }),
      alert('alert.closed'),
    );
    await outbox.deliverer.run();
    await outbox.passTime(6);
    await outbox.deliverer.run();
    expect(receivers.timeline.get('disk/web1')).toEqual(['CRITICAL', 'ACKNOWLEDGEMENT', 'RECOVERY']);
    const shown = JSON.stringify([
      await outbox.destination(destination.id),
      await outbox.rows(),
      outbox.told,
    ]);
    expect(shown).not.toContain('api-key');
  });

  it('gets the type that the severity stands for', () => {
    const types = (['critical', 'error', 'warning', 'info'] as const).map(
      (severity) =>
        (splunkOnCallBody(alert('alert.opened'), { severity, instanceId: 'i' }) as { message_type: string })
          .message_type,
    );
    expect(types).toEqual(['CRITICAL', 'CRITICAL', 'WARNING', 'INFO']);
  });
});
