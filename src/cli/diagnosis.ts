/** A diagnosis on the terminal. */
import type { DiagnosisStep } from '../source/source.ts';
import { EXIT } from './exit.ts';
import { print } from './with-runtime.ts';

export function diagnosisText(steps: readonly DiagnosisStep[]): string {
  return steps
    .flatMap((step) => [
      `${step.ok ? 'ok  ' : 'FAIL'} ${step.step.padEnd(12)} ${String(step.milliseconds).padStart(5)} ms  ${step.found}`,
      ...(step.advice === null ? [] : [`     ${' '.repeat(12)}           -> ${step.advice}`]),
    ])
    .join('\n');
}

/** Time for all steps together. */
export const DIAGNOSIS_MS = 60_000;

/** Prints it, and sets the exit code when a step failed. */
export function printDiagnosis(steps: DiagnosisStep[], json: boolean | undefined): void {
  print(json, steps, () => diagnosisText(steps));
  if (steps.some((step) => !step.ok)) process.exitCode = EXIT.negative;
}
