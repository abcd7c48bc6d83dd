/** A diagnosis as text for a terminal. */
import type { DiagnosisStep } from '../source/source.ts';

export function diagnosisText(steps: readonly DiagnosisStep[]): string {
  return steps
    .flatMap((step) => [
      `${step.ok ? 'ok  ' : 'FAIL'} ${step.step.padEnd(12)} ${String(step.milliseconds).padStart(5)} ms  ${step.found}`,
      ...(step.advice === null ? [] : [`     ${' '.repeat(12)}           -> ${step.advice}`]),
    ])
    .join('\n');
}
