/** docs/halo-compatibility.md says what the table says. `npm test -- test/api/compatibility-page -u` writes it. */
import { expect, it } from 'vitest';
import { ENDPOINTS } from './compatibility/endpoints.ts';
import { compatibilityPage } from './compatibility/page.ts';

it('the page is made from the table', async () => {
  await expect(compatibilityPage(ENDPOINTS)).toMatchFileSnapshot('../../docs/halo-compatibility.md');
});

it('says how far each row works, or why it does not', () => {
  const page = compatibilityPage(ENDPOINTS);
  for (const { calls } of ENDPOINTS)
    for (const call of Object.keys(calls)) expect(page).toContain(`| \`${call}\` |`);
  const rows = page.split('\n').filter((line) => /^\| (`|<)/.test(line));
  expect(rows.filter((line) => !/\| (works\b.*|(no|answers only)\. .{9,}) \|$/.test(line))).toEqual([]);
});
