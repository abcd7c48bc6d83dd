/** The worker thread: everything that touches the inside of a message runs here, so that it can be killed. */
import type { ParsedMessage } from '../message/message.ts';
import { parseMessage } from '../message/parse.ts';
import { compileRules } from '../rule/compile.ts';
import { type Explanation, explainRules } from '../rule/explain.ts';
import type { Rule } from '../rule/rule.ts';
import { buildView } from '../rule/view.ts';
import { type AnalysisAnswer, type AnalysisTask, analyse } from './analysis.ts';

/** What the thread can be asked, and its answers. */
export interface ThreadTasks {
  analyse: { task: AnalysisTask; answer: AnalysisAnswer };
  parse: { task: { bytes: Uint8Array }; answer: ParsedMessage };
  explain: { task: { rules: Rule[]; bytes: Uint8Array; mailboxId: number }; answer: Explanation };
}

export type ThreadTask = {
  [K in keyof ThreadTasks]: { kind: K } & ThreadTasks[K]['task'];
}[keyof ThreadTasks];

export default async function run(task: ThreadTask): Promise<ThreadTasks[keyof ThreadTasks]['answer']> {
  if (task.kind === 'analyse') return await analyse(task);
  const message = await parseMessage(
    Buffer.from(task.bytes.buffer, task.bytes.byteOffset, task.bytes.byteLength),
  );
  if (task.kind === 'parse') return message;
  return explainRules(compileRules(task.rules, 0), buildView(message), { mailboxId: task.mailboxId });
}
