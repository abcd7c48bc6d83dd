import { describe, expect, it } from 'vitest';
import { parseHashtags } from '../../src/ticket/hashtags.ts';

describe('hashtags', () => {
  it.each<[string, string, object[]]>([
    ['close', '#close', [{ kind: 'close' }]],
    ['without case', '#CLOSE\r\nthanks', [{ kind: 'close' }]],
    ['a status of several words', '#status In Progress', [{ kind: 'status', value: 'In Progress' }]],
    [
      'priority, assign, team',
      '#priority High\n#assign bob\n#team Second Line',
      [
        { kind: 'priority', value: 'High' },
        { kind: 'assign', value: 'bob' },
        { kind: 'team', value: 'Second Line' },
      ],
    ],
    [
      'several in a line',
      '#private #status Waiting #time 1h30m',
      [{ kind: 'private' }, { kind: 'status', value: 'Waiting' }, { kind: 'time', minutes: 90 }],
    ],
    ['after empty lines', '\n \n#close', [{ kind: 'close' }]],
    ['minutes', '#time 15m', [{ kind: 'time', minutes: 15 }]],
    ['hours', '#time 2h', [{ kind: 'time', minutes: 120 }]],
    ['a plain number', '#time 90', [{ kind: 'time', minutes: 90 }]],
    ['no time', '#time', []],
    ['no time at all', '#time 0m', []],
    ['more than a day', '#time 25h', []],
    ['no value', '#status', []],
    ['a value where none belongs', '#close the door', []],
    ['what is unknown', '#explode', []],
    ['a line with something unknown in it', '#close #explode', []],
    ['not in the text below', 'hello\n#close', []],
    ['not in a quotation', '> #close', []],
    ['nothing', '', []],
    ['names of what every object has', '#constructor x\n#__proto__ y', []],
  ])('%s', (_, text, commands) => {
    expect(parseHashtags(text).commands).toEqual(commands);
  });

  it('are taken out of the text, which begins after them', () => {
    expect(parseHashtags('#close\r\n\r\nDone.\r\n#private').text).toBe('\r\nDone.\r\n#private');
    expect(parseHashtags('Done.').text).toBe('Done.');
    expect(parseHashtags('#explode\nDone.').text).toBe('#explode\nDone.');
  });

  it('are looked for in the first lines only, however long they are', () => {
    expect(parseHashtags(`${'\n'.repeat(10)}#close`).commands).toEqual([]);
    expect(parseHashtags('#close\n'.repeat(1_000)).commands).toHaveLength(10);
    expect(parseHashtags(`#status ${'x'.repeat(100_000)}`).commands).toEqual([]);
  });
});
