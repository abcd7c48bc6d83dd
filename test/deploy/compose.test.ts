/** The compose file, read by Debian's docker-compose: no Docker engine is needed for that. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { SETTINGS } from '../../src/config/settings.ts';
import { tempFolder } from '../support/folder.ts';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url).pathname;

interface Service {
  image?: string;
  profiles?: string[];
  restart?: string;
  command?: string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  ports?: string[];
  volumes?: string[];
  networks?: Record<string, unknown>;
  depends_on?: Record<string, { condition: string }>;
  read_only?: boolean;
}
interface Compose {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, unknown>;
}

const FILLED = 'POSTGRES_PASSWORD=aaa\nREDIS_PASSWORD=bbb\nGRAFANA_PASSWORD=ccc\n';

async function compose(environment: string): Promise<Compose> {
  const file = join(await tempFolder(), 'environment');
  await writeFile(file, environment);
  const args = [
    '--project-directory',
    root,
    '-f',
    join(root, 'docker-compose.yml'),
    '--env-file',
    file,
    'config',
  ];
  const { stdout } = await run('docker-compose', args, { env: { PATH: process.env.PATH } });
  return parse(stdout) as Compose;
}

let file: Compose;

beforeAll(async () => {
  file = await compose(FILLED);
});

describe('docker-compose.yml', () => {
  it('has everything, and a mail server to try only when asked', () => {
    const { dovecot, ...always } = file.services;
    expect(Object.keys(always).sort()).toEqual(['grafana', 'penstock', 'postgres', 'prometheus', 'redis']);
    expect(dovecot?.profiles).toEqual(['try']);
    for (const service of Object.values(always)) expect(service.profiles).toBeUndefined();
  });

  it.each(['POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'GRAFANA_PASSWORD'])(
    'does not start without %s',
    async (name) => {
      const without = FILLED.split('\n')
        .map((line) => (line.startsWith(name) ? `${name}=` : line))
        .join('\n');
      await expect(compose(without)).rejects.toMatchObject({
        stderr: expect.stringContaining('set it in .env'),
      });
    },
  );

  it('has no password of its own, and the example names every variable', async () => {
    const text = await readFile(join(root, 'docker-compose.yml'), 'utf8');
    const example = await readFile(join(root, '.env.example'), 'utf8');
    const used = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name!));
    const given = new Set([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name!));
    expect([...given].sort()).toEqual([...used].sort());
    for (const [name, { environment = {} }] of Object.entries(file.services)) {
      for (const [variable, value] of Object.entries(environment)) {
        if (/PASSWORD|AUTH|_URL$/.test(variable) && value !== '')
          expect(value, `${name} ${variable}`).toMatch(/aaa|bbb|ccc/);
      }
    }
    expect(example).toMatch(/^POSTGRES_PASSWORD=$/m);
  });

  it('publishes nothing beyond the loopback address', () => {
    const ports = Object.values(file.services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(file.services.postgres?.ports).toBeUndefined();
    expect(file.services.redis?.ports).toBeUndefined();
  });

  it('keeps the engines on a network that leads nowhere', () => {
    expect(file.networks.engines?.internal).toBe(true);
    expect(Object.keys(file.services.postgres?.networks ?? {})).toEqual(['engines']);
    expect(Object.keys(file.services.redis?.networks ?? {})).toEqual(['engines']);
  });

  it('gives Penstock only settings that exist', () => {
    const known = new Set<string>(SETTINGS.map(({ env }) => env));
    for (const name of Object.keys(file.services.penstock?.environment ?? {}))
      expect(known, name).toContain(name);
    expect(file.services.penstock?.environment).toMatchObject({
      DATABASE_URL: 'postgres://penstock:aaa@postgres:5432/penstock',
      REDIS_URL: 'redis://:bbb@redis:6379/0',
    });
  });

  it('starts Penstock when its engines are healthy, and starts all of them again', () => {
    expect(file.services.penstock?.depends_on).toMatchObject({
      postgres: { condition: 'service_healthy' },
      redis: { condition: 'service_healthy' },
    });
    for (const [name, service] of Object.entries(file.services)) {
      expect(service.restart, name).toBe('unless-stopped');
      // That of Penstock is in its image.
      if (name !== 'penstock') expect(service.healthcheck?.test, name).toBeDefined();
    }
  });

  it('keeps what must outlive a container in volumes', () => {
    const kept = (name: string) =>
      (file.services[name]?.volumes ?? []).map((volume) => volume.split(':').slice(0, 2).join(':'));
    expect(kept('penstock')).toContain('penstock-data:/data');
    expect(kept('postgres')).toContain('postgres-data:/var/lib/postgresql/data');
    expect(kept('redis')).toContain('redis-data:/data');
    expect(file.services.penstock?.read_only).toBe(true);
    expect(Object.keys(file.volumes)).toEqual(
      expect.arrayContaining(['penstock-data', 'postgres-data', 'redis-data']),
    );
  });

  it('runs Redis so that it neither drops jobs nor forgets them', () => {
    const command = file.services.redis?.command?.join(' ');
    expect(command).toContain('--appendonly yes');
    expect(command).toContain('--maxmemory-policy noeviction');
  });

  it('names a version for every image', () => {
    for (const [name, { image }] of Object.entries(file.services)) {
      if (name === 'dovecot') continue;
      expect(image, name).toMatch(/:[v\d][\w.-]+$/);
    }
  });

  it('mounts only what the repository has', async () => {
    const mounts = Object.values(file.services)
      .flatMap((service) => service.volumes ?? [])
      .filter((volume) => volume.startsWith('/'));
    expect(mounts.length).toBeGreaterThan(2);
    for (const mount of mounts) {
      const path = mount.split(':')[0]!;
      expect(path.startsWith(root), path).toBe(true);
      await expect(run('test', ['-d', path]), path).resolves.toBeDefined();
    }
  });
});
