/** An explanation of rules as text for a terminal. Pure. */
import type { Explanation } from '../rule/explain.ts';

export function explanationText({ verdicts, result }: Explanation): string {
  const lines: string[] = [];
  for (const verdict of verdicts) {
    const mark = verdict.ruleId === result.rule?.id ? 'WINS ' : verdict.matched ? 'match' : 'no   ';
    lines.push(`${mark} ${verdict.name} (${verdict.ruleId})`);
    if (verdict.error !== null) lines.push(`        passed over: ${verdict.error}`);
    for (const condition of verdict.conditions) {
      const sign = condition.matched ? '+' : '-';
      lines.push(
        `      ${sign} ${condition.condition}: wanted ${quote(condition.wanted)}, found ${quote(condition.actual)}`,
      );
    }
  }
  if (result.rule === null) lines.push('No rule matches.');
  for (const { target, value, source, start, end } of result.extractions) {
    const place = source === 'constant' ? 'constant' : `${source} ${start}-${end}`;
    lines.push(`      ${target} = ${quote(value)} (${place})`);
  }
  if (result.closes) lines.push('      the message closes its alert');
  return lines.join('\n');
}

/** Mail may hold control characters that a terminal would obey. */
function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);
}
