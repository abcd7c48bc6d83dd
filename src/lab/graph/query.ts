/** The OData query options that the lab understands, and refuses others instead of overlooking them. */
import { GraphFault } from './answer.ts';

export interface Query {
  select: string[] | null;
  /** Whether the size was asked for as an extended property. */
  withSize: boolean;
  filter: string | null;
  descending: boolean;
  ordered: boolean;
  top: number | null;
  skip: number;
  skipToken: string | null;
  deltaToken: string | null;
}

const SIZE_FILTER = /^singleValueExtendedProperties\(\$filter=id eq '(?:Integer|Long) 0x0?e08'\)$/i;

export function parseQuery(params: URLSearchParams): Query {
  const query: Query = {
    select: null,
    withSize: false,
    filter: null,
    descending: false,
    ordered: false,
    top: null,
    skip: 0,
    skipToken: null,
    deltaToken: null,
  };
  for (const [name, value] of params) {
    switch (name.toLowerCase()) {
      case '$select':
        query.select = value.split(',');
        break;
      case '$expand':
        if (!SIZE_FILTER.test(value)) throw invalid(`$expand=${value}`);
        query.withSize = true;
        break;
      case '$filter':
        query.filter = value;
        break;
      case '$orderby':
        if (!/^receivedDateTime( asc| desc)?$/.test(value)) throw invalid(`$orderby=${value}`);
        query.ordered = true;
        query.descending = value.endsWith(' desc');
        break;
      case '$top':
        query.top = whole(value, name);
        if (query.top < 1 || query.top > 1000) throw invalid(`$top=${value}`);
        break;
      case '$skip':
        query.skip = whole(value, name);
        break;
      case '$skiptoken':
        query.skipToken = value;
        break;
      case '$deltatoken':
        query.deltaToken = value;
        break;
      default:
        throw invalid(name);
    }
  }
  return query;
}

/** The name in `displayName eq '...'`, or null without a filter. */
export function displayNameFilter({ filter }: Query): string | null {
  if (filter === null) return null;
  const match = /^displayName eq '((?:[^']|'')*)'$/.exec(filter);
  if (!match) throw invalid(`$filter=${filter}`);
  return match[1]!.replaceAll("''", "'");
}

/** The instant in `receivedDateTime ge ...`, or null without a filter. */
export function receivedFilter({ filter }: Query): number | null {
  if (filter === null) return null;
  const time = Date.parse(/^receivedDateTime ge (\S+)$/.exec(filter)?.[1] ?? '');
  if (Number.isNaN(time)) throw invalid(`$filter=${filter}`);
  return time;
}

/** `odata.maxpagesize` of a Prefer header. */
export function preferredPageSize(prefer: string): number | null {
  const match = /odata\.maxpagesize=(\d{1,5})/i.exec(prefer);
  return match ? Number(match[1]) : null;
}

function whole(value: string, name: string): number {
  if (!/^\d{1,9}$/.test(value)) throw invalid(`${name}=${value}`);
  return Number(value);
}

function invalid(what: string): GraphFault {
  return new GraphFault(400, 'ErrorInvalidUrlQuery', `The query option is not understood: ${what}`);
}
