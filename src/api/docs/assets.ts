/** Script and style of the page, read once; they are served from our own origin, because the policy allows no other. */
import { readFileSync } from 'node:fs';

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

export const PAGE_SCRIPT = read('./script.js');
export const PAGE_STYLE = read('./page.css');
