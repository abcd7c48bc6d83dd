/** A database for a test file: a copy of the migrated template, made in milliseconds, shared with nobody. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import pg from 'pg';
import { inject } from 'vitest';

export interface TestDatabase {
  /** For `openDatabase` and for DATABASE_URL. */
  url: string;
  name: string;
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>;
}

/** Options: `empty` for a database without our schema. */
export async function createTestDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `test_${randomBytes(6).toString('hex')}`;
  const template = options.empty ? 'template0' : 'penstock_template';
  // Copied as files: the default writes every page to the log too, and takes three times as long.
  await command(server, `create database ${name} template ${template} strategy file_copy`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    drop: () => command(server, `drop database if exists ${name} with (force)`),
  };
}

async function command(url: string, text: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

let known: Promise<string> | undefined;

function serverUrl(): Promise<string> {
  known ??= new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(inject('databaseServer'));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', reject);
    socket.on('end', () => {
      const answer = JSON.parse(text) as { url?: string; error?: string };
      if (answer.url) resolve(answer.url);
      else reject(new Error(`The database for tests did not start: ${answer.error}`));
    });
  });
  return known;
}
