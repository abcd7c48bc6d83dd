/** Paging and order of lists, as Halo has them (halo-api.md 1.7). */
import Type from 'typebox';
import { LIMITS } from '../../limits.ts';
import { invalid } from './problem.ts';

export const text = (description: string) => Type.Optional(Type.String({ maxLength: 1_000, description }));
export const flag = (description: string) => Type.Optional(Type.Boolean({ description }));
export const number = (description: string, minimum = 0, maximum = 2_147_483_647) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }));

/** The parameters. `fields` are the names a list can be ordered by. */
export function listQuery(fields: string, byDefault: string) {
  return {
    pageinate: flag('Answer one page, with the total.'),
    page_no: number('Page, from 1. Default 1.', 1),
    page_size: number('Records a page. Default 50.', 1, LIMITS.pageSize),
    count: number(
      `Without paging: how many records. Default and most ${LIMITS.pageSize}.`,
      1,
      LIMITS.pageSize,
    ),
    order: text(`Field to order by: ${fields}. Default ${byDefault}.`),
    orderdesc: flag('Descending.'),
    order2: text('Second field.'),
    orderdesc2: flag('Descending.'),
    order3: text('Third field.'),
    orderdesc3: flag('Descending.'),
    order4: text('Fourth field.'),
    orderdesc4: flag('Descending.'),
    order5: text('Fifth field.'),
    orderdesc5: flag('Descending.'),
  };
}

type OrderQuery = Partial<Record<`order${'' | '2' | '3' | '4' | '5'}`, string>> &
  Partial<Record<`orderdesc${'' | '2' | '3' | '4' | '5'}`, boolean>>;

/** The fields that are asked for, most significant first. Fails with `validation_failed` for one that is not known. */
export function readOrder<C extends string>(
  query: OrderQuery,
  columns: ReadonlyMap<string, C>,
): { column: C; descending: boolean }[] {
  const order: { column: C; descending: boolean }[] = [];
  for (const place of ['', '2', '3', '4', '5'] as const) {
    const field = query[`order${place}`];
    if (field === undefined || field.trim() === '') continue;
    const column = columns.get(field.trim().toLowerCase());
    if (column === undefined)
      throw invalid(`order${place}`, `must be one of ${[...columns.keys()].join(', ')}`);
    if (order.some((known) => known.column === column)) continue;
    order.push({ column, descending: query[`orderdesc${place}`] === true });
  }
  return order;
}

/** Which stretch of a list is asked for. Without `pageinate`, `page_size` and `page_no` say nothing. */
export function readStretch(query: {
  pageinate?: boolean;
  page_no?: number;
  page_size?: number;
  count?: number;
}): { paged: boolean; page: number; size: number; offset: number } {
  if (query.pageinate !== true) {
    return { paged: false, page: 1, size: query.count ?? LIMITS.pageSize, offset: 0 };
  }
  const page = query.page_no ?? 1;
  const size = query.page_size ?? 50;
  return { paged: true, page, size, offset: (page - 1) * size };
}
