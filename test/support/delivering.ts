/** A program that delivers what is due in the database that it is given, and dies at a crash point when told to. */
import { join } from 'node:path';
import { Deliverer } from '../../src/deliver/deliverer.ts';
import { AllowList } from '../../src/deliver/egress.ts';
import { Egress } from '../../src/deliver/http.ts';
import { Sender } from '../../src/deliver/sender.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { openDatabase } from '../../src/store/database.ts';
import { loadKeyring } from '../../src/store/keyring.ts';

const { url, folder } = JSON.parse(process.argv[2] ?? '{}') as { url: string; folder: string };
const { db, close } = openDatabase(url, { connections: 3, onError: () => undefined });
const sender = new Sender({
  db,
  keys: await loadKeyring(join(folder, 'secret.key'), false),
  egress: new Egress(new AllowList(['127.0.0.1'])),
  instanceId: 'instance',
  raw: new RawStore(db, folder),
  parse: parseMessage,
});
await new Deliverer(db, new Events(), sender).run();
await close();
