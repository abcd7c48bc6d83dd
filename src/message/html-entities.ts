/** Names of the characters U+00A0 to U+00FF in order (HTML 4 Latin-1 entities). */
const LATIN1 =
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute ' +
  'micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig ' +
  'Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash ' +
  'Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ' +
  'ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc ' +
  'uuml yacute thorn yuml';

const NAMED = new Map<string, string>([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['ndash', '\u2013'],
  ['mdash', '\u2014'],
  ['lsquo', '\u2018'],
  ['rsquo', '\u2019'],
  ['sbquo', '\u201a'],
  ['ldquo', '\u201c'],
  ['rdquo', '\u201d'],
  ['bdquo', '\u201e'],
  ['dagger', '\u2020'],
  ['bull', '\u2022'],
  ['hellip', '\u2026'],
  ['permil', '\u2030'],
  ['lsaquo', '\u2039'],
  ['rsaquo', '\u203a'],
  ['euro', '\u20ac'],
  ['trade', '\u2122'],
  ['larr', '\u2190'],
  ['uarr', '\u2191'],
  ['rarr', '\u2192'],
  ['darr', '\u2193'],
  ['minus', '\u2212'],
  ['le', '\u2264'],
  ['ge', '\u2265'],
  ['ne', '\u2260'],
  ['infin', '\u221e'],
  ['OElig', '\u0152'],
  ['oelig', '\u0153'],
  ['Scaron', '\u0160'],
  ['scaron', '\u0161'],
  ['Yuml', '\u0178'],
  ['ensp', ' '],
  ['emsp', ' '],
  ['thinsp', ' '],
  ['zwnj', ''],
  ['zwj', ''],
  ['zwsp', ''],
  ['lrm', ''],
  ['rlm', ''],
]);
for (const [index, name] of LATIN1.split(' ').entries()) NAMED.set(name, String.fromCharCode(0xa0 + index));
// Both only guide the layout of a page.
NAMED.set('nbsp', ' ').set('shy', '');

/** Longest `&name;` that is looked at. */
const MAX_ENTITY = 12;

/** Replaces character references (HTML 4 names and numbers); unknown ones stay as written. One linear pass. */
export function decodeEntities(text: string): string {
  let from = 0;
  let result = '';
  for (let amp = text.indexOf('&'); amp >= 0; amp = text.indexOf('&', amp + 1)) {
    const semicolon = text.slice(amp + 1, amp + 1 + MAX_ENTITY).indexOf(';');
    if (semicolon <= 0) continue;
    const decoded = entity(text.slice(amp + 1, amp + 1 + semicolon));
    if (decoded === null) continue;
    result += text.slice(from, amp) + decoded;
    from = amp + semicolon + 2;
    amp = from - 1;
  }
  return from === 0 ? text : result + text.slice(from);
}

function entity(name: string): string | null {
  if (!name.startsWith('#')) return NAMED.get(name) ?? null;
  const hex = name[1] === 'x' || name[1] === 'X';
  const digits = name.slice(hex ? 2 : 1);
  if (!(hex ? /^[0-9a-f]+$/i : /^\d+$/).test(digits)) return null;
  const code = Number.parseInt(digits, hex ? 16 : 10);
  if (code === 0xa0) return ' ';
  return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
    ? String.fromCodePoint(code)
    : '\ufffd';
}
