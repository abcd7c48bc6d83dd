/** Puts together what sends outcomes to destinations. */
import { AllowList } from './deliver/egress.ts';
import { Egress } from './deliver/http.ts';
import { Sender } from './deliver/sender.ts';
import { LIMITS } from './limits.ts';
import type { ParsedMessage } from './message/message.ts';
import type { ThreadTask } from './process/thread.ts';
import type { Runtime } from './runtime.ts';
import type { Work } from './work.ts';

/** Without `work` no message is parsed: enough to test a destination. */
export function makeSender(runtime: Runtime, work: Pick<Work, 'pool'> | null): Sender {
  const { db, keys, raw, config, instanceId } = runtime;
  return new Sender({
    db,
    keys,
    raw,
    instanceId,
    egress: new Egress(new AllowList(config.destinations.allow)),
    parse: async (bytes) => {
      if (work === null) throw new Error('This command parses no message.');
      const task: ThreadTask = { kind: 'parse', raw: { inline: bytes } };
      const timeoutMs =
        config.worker.parseTimeoutMs + (bytes.length / 1_048_576) * LIMITS.parseTimeoutPerMegabyteMs;
      return await work.pool.run<ParsedMessage>(task, { timeoutMs });
    },
  });
}
