const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Hours east of UTC (RFC 5322 section 4.3). Military letters count as unknown, that is UTC. */
const ZONES = new Map<string, number>([
  ['ut', 0],
  ['utc', 0],
  ['gmt', 0],
  ['z', 0],
  ['est', -5],
  ['edt', -4],
  ['cst', -6],
  ['cdt', -5],
  ['mst', -7],
  ['mdt', -6],
  ['pst', -8],
  ['pdt', -7],
  ['bst', 1],
  ['wet', 0],
  ['west', 1],
  ['cet', 1],
  ['met', 1],
  ['cest', 2],
  ['mest', 2],
  ['eet', 2],
  ['eest', 3],
  ['msk', 3],
  ['jst', 9],
  ['kst', 9],
  ['aest', 10],
  ['aedt', 11],
  ['nzst', 12],
  ['nzdt', 13],
]);

/** A date field is short; what is longer is no date. */
const MAX_DATE = 200;

/**
 * The instant of a Date or Received timestamp as ISO 8601 in UTC, or null when it is none. Reads RFC 5322 with its
 * obsolete forms, asctime, ISO 8601, and stray words; a missing zone and `-0000` mean UTC. An impossible day
 * is no date: it is never rolled over into another one.
 */
export function parseDate(text: string): string | null {
  if (text.length > MAX_DATE) return null;
  const iso = parseIso(text.trim());
  if (iso !== null) return iso;
  let day: number | null = null;
  let month: number | null = null;
  let year: number | null = null;
  let time: Time | null = null;
  let offset: number | null = null;
  for (const token of withoutComments(text).split(/[\s,]+/)) {
    if (token === '') continue;
    const lower = token.toLowerCase();
    if (time === null && token.includes(':')) {
      time = parseTime(token);
      if (time === null) return null;
      offset ??= time.offset;
    } else if (/^\d{1,2}-[a-z]{3,9}-\d{2,4}$/.test(lower)) {
      const [d, m, y] = lower.split('-') as [string, string, string];
      day = Number(d);
      month = monthNumber(m);
      year = fullYear(y);
    } else if (/^[+-]\d{4}$/.test(token) && time !== null) {
      offset = zoneOffset(token);
    } else if (/^\d{1,6}$/.test(token)) {
      if (day === null && token.length <= 2) day = Number(token);
      else if (year === null) year = fullYear(token);
    } else if (month === null && monthNumber(lower) !== null) {
      month = monthNumber(lower);
    } else if (offset === null && ZONES.has(lower)) {
      offset = ZONES.get(lower)! * 60;
    } else if (offset === null && /^(?:gmt|utc?)[+-]\d{1,4}$/.test(lower)) {
      offset = zoneOffset(lower.slice(lower.search(/[+-]/)).replace(/^([+-])(\d{1,2})$/, '$1$200'));
    }
  }
  if (day === null || month === null || year === null) return null;
  return instant(year, month, day, time ?? { hour: 0, minute: 0, second: 0, offset: null }, offset ?? 0);
}

interface Time {
  hour: number;
  minute: number;
  second: number;
  /** Minutes, when the zone stuck to the time as in `10:00:00+0200`. */
  offset: number | null;
}

function parseTime(token: string): Time | null {
  const match = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d{1,9})?)?(z|[+-]\d{4})?$/i.exec(token);
  if (match === null) return null;
  return {
    hour: Number(match[1]),
    minute: Number(match[2]),
    second: Number(match[3] ?? 0),
    offset: match[4] === undefined ? null : zoneOffset(match[4]),
  };
}

function parseIso(text: string): string | null {
  const match =
    /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?$/i.exec(
      text,
    );
  if (match === null) return null;
  const time = {
    hour: Number(match[4] ?? 0),
    minute: Number(match[5] ?? 0),
    second: Number(match[6] ?? 0),
    offset: null,
  };
  const zone = match[7];
  const offset = zone === undefined ? 0 : zoneOffset(zone.replace(':', ''));
  return instant(Number(match[1]), Number(match[2]) - 1, Number(match[3]), time, offset ?? 0);
}

function instant(year: number, month: number, day: number, time: Time, offset: number): string | null {
  if (year < 1900 || year > 9999 || time.hour > 23 || time.minute > 59 || time.second > 60) return null;
  const date = new Date(Date.UTC(year, month, day, time.hour, time.minute, Math.min(time.second, 59)));
  // The 32nd would have become the 1st of the next month.
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return null;
  const utc = new Date(date.getTime() - offset * 60_000).toISOString();
  // Beyond the year 9999 ISO 8601 needs a sign, which databases do not take.
  return utc.startsWith('+') ? null : utc;
}

function monthNumber(name: string): number | null {
  const index = MONTHS.indexOf(name.slice(0, 3));
  return index >= 0 && /^[a-z]{3,9}\.?$/.test(name) ? index : null;
}

/** RFC 5322 section 4.3: two digits below 50 are after 2000; three digits count from 1900. */
function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length === 2) return year < 50 ? 2000 + year : 1900 + year;
  return digits.length === 3 ? 1900 + year : year;
}

/** Minutes east of UTC. An impossible zone says nothing and counts as UTC. */
function zoneOffset(zone: string): number {
  if (/^z$/i.test(zone)) return 0;
  const minutes = Number(zone.slice(-4, -2)) * 60 + Number(zone.slice(-2));
  if (minutes > 14 * 60) return 0;
  return zone.startsWith('-') ? -minutes : minutes;
}

function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let result = '';
  let depth = 0;
  for (const char of text) {
    if (char === '(') depth++;
    else if (char === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) result += char;
  }
  return result;
}
