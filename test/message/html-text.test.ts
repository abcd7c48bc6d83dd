import { describe, expect, it } from 'vitest';
import { decodeEntities } from '../../src/message/html-entities.ts';
import { htmlToText } from '../../src/message/html-text.ts';

describe('htmlToText', () => {
  it.each([
    ['<p>One</p><p>Two</p>', 'One\n\nTwo'],
    ['one<br>two<br/>three', 'one\ntwo\nthree'],
    ['<div>a</div><div>b</div>', 'a\nb'],
    ['<div><div><div>a</div></div></div>b', 'a\nb'],
    ['  lots \n of\t<b>white</b>   space ', 'lots of white space'],
    ['a<b>b</b>c', 'abc'],
    [
      '<table><tr><td>Host</td><td>web1</td></tr><tr><td>State</td><td>DOWN</td></tr></table>',
      'Host web1\nState DOWN',
    ],
    ['<ul><li>one</li><li>two</li></ul>', '* one\n* two'],
    ['<style>p { color: red }</style><script>alert("<p>")</script>text', 'text'],
    ['<head><title>Title</title></head><body>Body</body>', 'Body'],
    ['<STYLE>x</StYlE >text', 'text'],
    ['<style>never closed <p>x', ''],
    ['<!-- a > comment -->text<!doctype html>', 'text'],
    ['<a title="a > b" href=\'c>d\'>link</a>', 'link'],
    ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
    ['a<', 'a<'],
    ['a<b', 'a'],
    ['Caf&eacute; &amp; &#8364;&#x20AC; &nbsp;&unknown; &', 'Café & €€ &unknown; &'],
    [
      'new<blockquote>old<blockquote>older</blockquote></blockquote>newest',
      'new\n\n> old\n>\n> > older\n\nnewest',
    ],
    ['<pre>a  b\n  c</pre>', 'a  b\n  c'],
    ['<hr>after', '-----\nafter'],
    ['<p></p><p></p><p></p>x', 'x'],
    ['', ''],
  ])('%s', (html, text) => {
    expect(htmlToText(html)).toBe(text);
  });

  it.each([
    ['nested elements', '<div>'.repeat(300_000)],
    ['nested quotes', '<blockquote>x'.repeat(100_000)],
    ['open tags', '<a '.repeat(500_000)],
    ['open attributes', '<a x="'.repeat(300_000)],
    ['brackets', '<'.repeat(1_000_000)],
    ['comments', '<!--'.repeat(300_000)],
    ['styles', '<style>'.repeat(200_000)],
    ['closers', `<style>${'</'.repeat(500_000)}`],
    ['ampersands', '&'.repeat(1_000_000)],
    ['blanks', ' '.repeat(1_000_000)],
    ['words', 'a '.repeat(500_000)],
    ['cells', '<td>x'.repeat(200_000)],
    ['lines', '<pre>\n'.repeat(150_000)],
  ])('ends on a megabyte of %s', (_name, html) => {
    expect(htmlToText(html).length).toBeLessThanOrEqual(html.length * 11);
  });
});

describe('decodeEntities', () => {
  it.each([
    ['&lt;&gt;&quot;&apos;&uuml;&yuml;&Agrave;', '<>"\'üÿÀ'],
    ['&#0; &#xD800; &#99999999; &#x41;', '\ufffd \ufffd \ufffd A'],
    ['&#; &#x; &#1a; &constructor; &__proto__;', '&#; &#x; &#1a; &constructor; &__proto__;'],
    ['&amp;lt;', '&lt;'],
    ['a&shy;b', 'ab'],
  ])('%s', (text, decoded) => {
    expect(decodeEntities(text)).toBe(decoded);
  });
});
