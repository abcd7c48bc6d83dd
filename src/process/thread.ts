/** The worker thread: everything that touches the inside of a message runs here, so that it can be killed. */
import type { ParsedMessage } from '../message/message.ts';
import { parseMessage } from '../message/parse.ts';
import type { RawLocation } from '../raw/raw-store.ts';
import { compileRules } from '../rule/compile.ts';
import { type Explanation, explainRules } from '../rule/explain.ts';
import type { Rule } from '../rule/rule.ts';
import { buildView } from '../rule/view.ts';
import { type AnalysisAnswer, type AnalysisTask, analyse, openRaw } from './analysis.ts';

/** What the thread can be asked, and its answers. */
export interface ThreadTasks {
  analyse: { task: AnalysisTask; answer: AnalysisAnswer };
  parse: { task: { raw: RawLocation }; answer: ParsedMessage };
  explain: { task: { rules: Rule[]; bytes: Uint8Array; mailboxId: number }; answer: Explanation };
}

export type ThreadTask = {
  [K in keyof ThreadTasks]: { kind: K } & ThreadTasks[K]['task'];
}[keyof ThreadTasks];

export default async function run(task: ThreadTask): Promise<ThreadTasks[keyof ThreadTasks]['answer']> {
  if (task.kind === 'analyse') return await analyse(task);
  if (task.kind === 'parse') return await parseMessage(openRaw(task.raw));
  const message = await parseMessage(openRaw({ inline: task.bytes }));
  return explainRules(compileRules(task.rules, 0), buildView(message), { mailboxId: task.mailboxId });
}
