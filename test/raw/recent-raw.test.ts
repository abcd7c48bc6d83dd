import { describe, expect, it } from 'vitest';
import { RecentRaw } from '../../src/raw/recent-raw.ts';

describe('RecentRaw', () => {
  it('hands bytes out once', () => {
    const recent = new RecentRaw(100);
    const bytes = Buffer.from('mail');
    recent.keep('a', bytes);
    expect(recent.take('a')).toBe(bytes);
    expect(recent.take('a')).toBeNull();
  });

  it('keeps the first when it is full, and has room again when they are taken', () => {
    const recent = new RecentRaw(10);
    recent.keep('a', Buffer.alloc(6));
    recent.keep('b', Buffer.alloc(6));
    expect(recent.take('b')).toBeNull();
    expect(recent.take('a')).not.toBeNull();
    recent.keep('b', Buffer.alloc(6));
    expect(recent.take('b')).not.toBeNull();
  });

  it('drops what nobody takes for a minute', () => {
    let now = 0;
    const recent = new RecentRaw(10, () => now);
    recent.keep('a', Buffer.alloc(10));
    now = 61_000;
    recent.keep('b', Buffer.alloc(10));
    expect(recent.take('a')).toBeNull();
    expect(recent.take('b')).not.toBeNull();
  });

  it('counts a message kept twice once', () => {
    const recent = new RecentRaw(10);
    recent.keep('a', Buffer.alloc(6));
    recent.keep('a', Buffer.alloc(6));
    recent.take('a');
    recent.keep('b', Buffer.alloc(10));
    expect(recent.take('b')).not.toBeNull();
  });
});
