/** Stands between a client and a server, and cuts what the server says into pieces, or off. */
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

export interface CutPlan {
  /** Lengths of the pieces, over and over; none sends what comes as it comes. */
  pieces?: readonly number[];
  /** Lets so many bytes through on each connection, then ends it. */
  upTo?: number;
  /** How it ends. */
  end?: 'fin' | 'reset';
}

export interface CuttingProxy {
  port: number;
  /** For connections that are made from now on. */
  plan: CutPlan;
  /** Bytes of the server that went through on the last connection. */
  sent(): number;
}

/** Starts a proxy to a port of the loopback address. It ends with the test. */
export async function startCuttingProxy(target: number): Promise<CuttingProxy> {
  const open = new Set<net.Socket>();
  let sent = 0;
  const proxy: CuttingProxy = { port: 0, plan: {}, sent: () => sent };
  const server = net.createServer((client) => {
    const upstream = net.connect({ host: '127.0.0.1', port: target });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    }
    client.pipe(upstream);
    sent = 0;
    void pass(upstream, client, proxy.plan, (bytes) => {
      sent += bytes;
    }).catch(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.port = (server.address() as net.AddressInfo).port;
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return proxy;
}

async function pass(
  upstream: net.Socket,
  client: net.Socket,
  { pieces = [], upTo = Infinity, end = 'fin' }: CutPlan,
  count: (bytes: number) => void,
): Promise<void> {
  let left = upTo;
  let index = 0;
  /** What is left of the piece that is being sent. */
  let room = pieces[0] ?? Infinity;
  for await (const chunk of upstream as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length && left > 0; ) {
      const piece = chunk.subarray(at, at + Math.min(room, left));
      at += piece.length;
      left -= piece.length;
      room -= piece.length;
      count(piece.length);
      await new Promise<void>((resolve) => client.write(piece, () => resolve()));
      if (room > 0) continue;
      index += 1;
      room = pieces[index % pieces.length] ?? Infinity;
      // The client has read the piece by now, or will read it alone: nothing follows within this turn.
      await turn();
      await turn();
    }
    if (left > 0) continue;
    if (end === 'reset') client.resetAndDestroy();
    else client.end();
    upstream.destroy();
    return;
  }
  client.end();
}
