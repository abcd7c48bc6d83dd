/** Text for a header field. A line break in it would begin another field (failures, section 28). */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}
