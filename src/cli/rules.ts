/** `penstock rules test`: why a rule matches a message, or why not. */
import { Command } from 'commander';
import { ruleFromHalo } from '../api/halo/email-rule.ts';
import { fail } from '../errors.ts';
import { parseMessage } from '../message/parse.ts';
import { compileRules } from '../rule/compile.ts';
import { type Explanation, explainRules } from '../rule/explain.ts';
import type { Rule } from '../rule/rule.ts';
import { buildView } from '../rule/view.ts';
import { findRule, loadRuleSet } from '../store/rules.ts';
import { whole } from './arguments.ts';
import { EXIT } from './exit.ts';
import { explanationText } from './explanation.ts';
import { readGivenFile, readGivenJson } from './files.ts';
import { print, withRuntime } from './with-runtime.ts';

export function rulesCommand(): Command {
  const command = new Command('rules')
    .description('Rules')
    .addHelpText('after', '\nExample:\n  penstock rules test --rule rule.json message.eml');
  command
    .command('test')
    .description('Explain one message: each rule, each condition, what was extracted and from where')
    .argument('<message.eml>')
    .option(
      '--rule <file|id>',
      'a rule in a JSON file (as the API takes it) or the id of a stored one; default: all stored rules',
    )
    .option('--mailbox <id>', 'mailbox the message came to', whole(0), 0)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 when a rule matches, 1 when none does.\n\nExample:\n  penstock rules test --rule rule.json message.eml',
    )
    .action(async (file: string, options: { rule?: string; mailbox: number; json?: boolean }) => {
      const rules = await rulesOf(options.rule);
      const message = await parseMessage(await readGivenFile(file));
      const explanation: Explanation = explainRules(compileRules(rules, 0), buildView(message), {
        mailboxId: options.mailbox,
      });
      print(options.json, explanation, () => explanationText(explanation));
      if (explanation.result.rule === null) process.exitCode = EXIT.negative;
    });
  return command;
}

async function rulesOf(given: string | undefined): Promise<Rule[]> {
  if (given === undefined) return (await withRuntime(({ db }) => loadRuleSet(db))).rules;
  if (/^\d+$/.test(given)) {
    const rule = await withRuntime(({ db }) => findRule(db, Number(given)));
    if (rule === null) throw fail('not_found', `There is no rule ${given}.`, { id: given });
    return [rule];
  }
  const parsed = await readGivenJson(given);
  const list = (Array.isArray(parsed) ? parsed : [parsed]) as object[];
  return list.map((item, index) => ({ ...ruleFromHalo(item), id: index + 1 }));
}
