/** Progress of something long, for the person who waits: a bar on a terminal, a line now and then elsewhere. */
import { progressAt } from '../intake/progress.ts';

export interface ProgressState {
  label: string;
  done: number;
  /** Null = not known. */
  total: number | null;
  elapsedMs: number;
}

/** What is needed of process.stderr. */
export interface ProgressTarget {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  write(text: string): unknown;
}

const BAR_WIDTH = 30;
const REDRAW_MS = 100;
const LINE_EVERY_MS = 5_000;
const LINE_EVERY_PERCENT = 25;
const CLEAR_LINE = '\r\u001b[2K';

/** One line of at most `columns` columns. Pure. */
export function renderProgress({ label, done, total, elapsedMs }: ProgressState, columns = 80): string {
  const { perSecond, secondsLeft } = progressAt(done, total ?? done, elapsedMs);
  const rate = `${perSecond < 10 ? perSecond : Math.round(perSecond)}/s`;
  if (total === null) return `${label} ${done}  ${rate}`.slice(0, columns);
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const left = done >= total ? `${(elapsedMs / 1000).toFixed(1)} s` : `${duration(secondsLeft)} left`;
  const facts = `${String(Math.floor(share * 100)).padStart(3)} %  ${done}/${total}  ${rate}  ${left}`;
  const room = Math.min(BAR_WIDTH, columns - label.length - facts.length - 5);
  // Too narrow for a bar: the figures say the same.
  if (room < 8) return `${label} ${facts}`.slice(0, columns);
  const filled = Math.floor(share * room);
  return `${label} [${'#'.repeat(filled)}${'.'.repeat(room - filled)}] ${facts}`;
}

/** Seconds as a person says them: `45 s`, `3 min`, `2 h 5 min`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return '?';
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * Draws progress. Numbers may come as often as they like; drawing is throttled. A new label begins anew, on a
 * line of its own.
 */
export class ProgressLine {
  readonly #target: ProgressTarget;
  readonly #now: () => number;
  #state: ProgressState | null = null;
  #startedAt = 0;
  #drawnAt = 0;
  #drawn = '';
  #drawnShare = 0;

  /** `now` is a clock in milliseconds. */
  constructor(target: ProgressTarget, now: () => number = () => performance.now()) {
    this.#target = target;
    this.#now = now;
  }

  update(done: number, total: number | null, label: string): void {
    const now = this.#now();
    if (this.#state?.label !== label) {
      this.end();
      this.#startedAt = now;
      this.#drawnAt = Number.NEGATIVE_INFINITY;
      this.#drawnShare = 0;
    }
    this.#state = { label, done, total, elapsedMs: now - this.#startedAt };
    const share = total ? Math.floor((done / total) * 100) : 0;
    const silence = now - this.#drawnAt;
    if (this.#target.isTTY ? silence < REDRAW_MS : silence < LINE_EVERY_MS && !this.#isNewQuarter(share))
      return;
    this.#drawnShare = share;
    this.#draw(this.#state);
  }

  /** Writes a line without tearing the bar. */
  line(text: string): void {
    const bar = this.#target.isTTY ? this.#drawn : '';
    this.#target.write(`${bar === '' ? '' : CLEAR_LINE}${text}\n${bar}`);
  }

  /** Draws the last state and leaves the line. */
  end(): void {
    if (this.#state === null) return;
    this.#draw(this.#state);
    if (this.#target.isTTY) this.#target.write('\n');
    this.#state = null;
    this.#drawn = '';
  }

  #isNewQuarter(share: number): boolean {
    return share - this.#drawnShare >= LINE_EVERY_PERCENT;
  }

  #draw(state: ProgressState): void {
    const text = renderProgress(state, (this.#target.columns ?? 81) - 1);
    // Elsewhere than on a terminal a line that says nothing new is noise.
    if (this.#target.isTTY) this.#target.write(`${CLEAR_LINE}${text}`);
    else if (text !== this.#drawn) this.#target.write(`${text}\n`);
    this.#drawn = text;
    this.#drawnAt = this.#now();
  }
}
