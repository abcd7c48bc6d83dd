/** How a long listing gets on: done, total, rate and time left. Pure; the caller has the clock. */
export interface Progress {
  done: number;
  total: number;
  perSecond: number;
  secondsLeft: number | null;
}

export function progressAt(done: number, total: number, elapsedMs: number): Progress {
  const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0;
  const left = Math.max(0, total - done);
  return {
    done,
    total,
    perSecond: Math.round(perSecond * 10) / 10,
    secondsLeft: perSecond > 0 ? Math.ceil(left / perSecond) : null,
  };
}
