/** The peer to beat: imapflow and mailparser in one loop, on one core, storing nothing. Run as a process of its own. */
import { ImapFlow } from 'imapflow';
import { simpleParser } from 'mailparser';

const [port, user, password] = process.argv.slice(2);
const client = new ImapFlow({
  host: '127.0.0.1',
  port: Number(port),
  secure: false,
  doSTARTTLS: false,
  auth: { user: user!, pass: password! },
  logger: false,
});
client.on('error', () => undefined);
// From the first byte on, as Penstock's time is taken.
const started = performance.now();
await client.connect();
const lock = await client.getMailboxLock('INBOX');
let count = 0;
for await (const message of client.fetch('1:*', { source: true })) {
  await simpleParser(message.source!);
  count += 1;
}
const seconds = (performance.now() - started) / 1000;
lock.release();
await client.logout();
const { user: userMicros, system } = process.cpuUsage();
const { maxRSS } = process.resourceUsage();
process.stdout.write(
  `${JSON.stringify({ count, seconds, cpuSeconds: (userMicros + system) / 1e6, peakMegabytes: maxRSS / 1024 })}\n`,
);
