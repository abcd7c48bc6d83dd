/** The entries of a list that is written with bars between them, so that long lists stay readable. */
export function phrases(list: string): string[] {
  return list
    .split('|')
    .map((phrase) => phrase.trim())
    .filter((phrase) => phrase !== '');
}
