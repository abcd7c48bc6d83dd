/** Alerts and dashboards: valid, tested, made of metrics that exist, and each alert with a page that says what to do. */
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { Events } from '../../src/observe/events.ts';
import type { Facts } from '../../src/observe/facts.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { tempFolder } from '../support/folder.ts';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url).pathname;
const prometheus = join(root, 'deploy/prometheus');
const dashboards = join(root, 'deploy/grafana/dashboards');
const runbooks = join(root, 'docs/operator/runbooks');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook: string };
}

let rules: Rule[];
let expressions: { where: string; expr: string }[];

beforeAll(async () => {
  const file = parse(await readFile(join(prometheus, 'alerts.yml'), 'utf8')) as {
    groups: { rules: Rule[] }[];
  };
  rules = file.groups.flatMap((group) => group.rules);
  const boards = await readdir(dashboards);
  const inBoards = await Promise.all(
    boards.map(async (name) =>
      expressionsOf(name, JSON.parse(await readFile(join(dashboards, name), 'utf8'))),
    ),
  );
  // What annotations ask for counts too.
  const inAlerts = rules.map((rule) => ({
    where: rule.alert,
    expr: `${rule.expr} ${rule.annotations.description}`,
  }));
  expressions = [...inAlerts, ...inBoards.flat()];
});

interface Panel {
  title: string;
  description?: string;
  type: string;
  targets?: { expr: string; legendFormat: string }[];
  gridPos: { x: number; y: number; w: number; h: number };
}
interface Board {
  uid: string;
  panels: Panel[];
  templating: { list: { name: string; query: string | { query: string } }[] };
}

function expressionsOf(name: string, board: Board): { where: string; expr: string }[] {
  return board.panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr }) => ({ where: `${name}: ${panel.title}`, expr })),
  );
}

describe('Prometheus', () => {
  it('takes the configuration and the rules', async () => {
    const { stdout } = await run('promtool', ['check', 'config', join(prometheus, 'prometheus.yml')]);
    expect(stdout).toContain(`${rules.length} rules found`);
  });

  it('fires and resolves as the tests of the rules say', async () => {
    await run('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: prometheus });
  });

  it('shows of every alert that it fires, and that it is silent at other times', async () => {
    const file = parse(await readFile(join(prometheus, 'alerts.test.yml'), 'utf8')) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const all = file.tests.flatMap((test) => test.alert_rule_test);
    for (const { alert } of rules) {
      const own = all.filter((test) => test.alertname === alert);
      expect(
        own.some((test) => test.exp_alerts.length > 0),
        `${alert} fires`,
      ).toBe(true);
      expect(
        own.some((test) => test.exp_alerts.length === 0),
        `${alert} is silent`,
      ).toBe(true);
    }
  });
});

describe('alerts', () => {
  it('have names of their own, a severity and a summary', () => {
    expect(new Set(rules.map((rule) => rule.alert)).size).toBe(rules.length);
    for (const rule of rules) {
      expect(['page', 'ticket'], rule.alert).toContain(rule.labels.severity);
      expect(rule.annotations.summary, rule.alert).not.toBe('');
      expect(rule.annotations.runbook).toBe(`docs/operator/runbooks/${rule.alert}.md`);
    }
  });

  it('have a page each, and no page is left over', async () => {
    const pages = (await readdir(runbooks)).filter((name) => name !== 'README.md').sort();
    expect(pages).toEqual(rules.map((rule) => `${rule.alert}.md`).sort());
    const index = await readFile(join(runbooks, 'README.md'), 'utf8');
    for (const { alert } of rules) {
      const page = await readFile(join(runbooks, `${alert}.md`), 'utf8');
      expect(page, alert).toMatch(new RegExp(`^# ${alert}\n`));
      for (const heading of ['## What it means', '## What to do', '## When it ends'])
        expect(page, alert).toContain(heading);
      expect(index).toContain(`(${alert}.md)`);
    }
  });
});

describe('metrics that are named', () => {
  it('exist', () => {
    const events = new Events();
    const known = new Set(createMetrics({ events, readFacts: async () => ({}) as Facts }).names());
    const used = expressions.flatMap(({ where, expr }) =>
      [...expr.matchAll(/penstock_[a-z0-9_]+/g)].map(([name]) => ({ where, name })),
    );
    expect(used.length).toBeGreaterThan(50);
    for (const { where, name } of used) {
      expect(
        known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')),
        `${where} uses ${name}`,
      ).toBe(true);
    }
  });
});

describe('dashboards', () => {
  it('ask questions that Prometheus understands', async () => {
    const fromBoards = expressions.filter(({ where }) => where.includes('.json'));
    expect(fromBoards.length).toBeGreaterThan(40);
    const asRules = fromBoards.map(({ expr }, index) => ({
      record: `check_${index}`,
      expr: expr
        .replaceAll('$__rate_interval', '5m')
        .replaceAll('$__range', '6h')
        .replaceAll('$mailbox', '1'),
    }));
    const file = join(await tempFolder(), 'dashboards.yml');
    await writeFile(file, stringify({ groups: [{ name: 'dashboards', rules: asRules }] }));
    const { stdout } = await run('promtool', ['check', 'rules', file]);
    expect(stdout).toContain(`${fromBoards.length} rules found`);
  });

  it('use no variable that they do not define, and explain every panel', async () => {
    for (const name of await readdir(dashboards)) {
      const text = await readFile(join(dashboards, name), 'utf8');
      const board = JSON.parse(text) as Board;
      const defined = [
        ...board.templating.list.map((variable) => variable.name),
        '__rate_interval',
        '__range',
        '__value',
      ];
      for (const [, variable] of text.matchAll(/\$\{?(\w+)/g)) expect(defined, name).toContain(variable);
      for (const panel of board.panels) {
        if (panel.type !== 'row') expect(panel.description, `${name}: ${panel.title}`).toBeTruthy();
      }
    }
  });

  it('have no panels that lie on one another', async () => {
    for (const name of await readdir(dashboards)) {
      const { panels } = JSON.parse(await readFile(join(dashboards, name), 'utf8')) as Board;
      const taken = new Map<string, string>();
      for (const { title, gridPos } of panels) {
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            expect(taken.get(`${x},${y}`), `${name}: ${title}`).toBeUndefined();
            taken.set(`${x},${y}`, title);
          }
        }
      }
    }
  });
});
