/**
 * What Prometheus reads. Counters and histograms come from events, gauges from the facts of the database. Several
 * processes on one database show the same gauges by mailbox; queries take the maximum over them.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { countEvents } from './event-metrics.ts';
import type { Events } from './events.ts';
import { createFactGauges } from './fact-metrics.ts';
import type { Facts } from './facts.ts';

const PREFIX = 'penstock_';
/** Gauges of the library that are named like counters; those by kind, without the ending, say the same. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export interface Metrics {
  /** For the Content-Type header. */
  contentType: string;
  /** All metrics as text. Answers without a database too: then only what this process counted is there. */
  render(): Promise<string>;
  /** Names of all metrics, for checks of alerts and dashboards. */
  names(): string[];
}

export function createMetrics(options: { events: Events; readFacts(): Promise<Facts> }): Metrics {
  const registry = new Registry();
  // Memory, processor, open files, garbage collection and the lag of the event loop.
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  for (const name of MISNAMED) registry.removeSingleMetric(`${PREFIX}${name}`);
  countEvents(options.events, registry);
  const setGauges = createFactGauges(registry);
  return {
    contentType: registry.contentType,
    async render() {
      setGauges(await options.readFacts());
      return await registry.metrics();
    },
    names: () => registry.getMetricsAsArray().map((metric) => metric.name),
  };
}
