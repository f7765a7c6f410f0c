import { expect, test } from 'vitest';

import { EventReader } from './sse.js';

const bytes = (text: string) => new TextEncoder().encode(text);

test('events, ids, names and waits are read, comments are not', () => {
  const reader = new EventReader();
  const stream =
    ': welcome\nid: p-1\nretry: 2000\n\nid: p-2\nevent: connection\ndata: {"a":1}\n\ndata:x\ndata:  y\n\n';
  expect(reader.feed(bytes(stream))).toEqual([
    { name: 'connection', data: '{"a":1}' },
    { name: 'message', data: 'x\n y' },
  ]);
  expect([reader.lastId, reader.retry]).toEqual(['p-2', 2000]);
});

test('the id of a heartbeat counts, though it comes without data', () => {
  const reader = new EventReader('p-1');
  expect(reader.feed(bytes(': heartbeat\nid: p-7\n\n'))).toEqual([]);
  expect(reader.lastId).toBe('p-7');
});

test('an id with a null in it, and a wait that is no number, are passed over', () => {
  const reader = new EventReader('p-1');
  reader.feed(bytes('id: a\0b\nretry: soon\n\n'));
  expect([reader.lastId, reader.retry]).toEqual(['p-1', undefined]);
});

test('however the bytes are cut and the lines end, the same comes out', () => {
  const lines = [
    'event: connection',
    'data: größer',
    'data: 2',
    '',
    'data',
    '',
    ': c',
    'id: ü',
    'data: 3',
    '',
    '',
  ];
  for (const end of ['\n', '\r\n', '\r']) {
    const whole = bytes(lines.join(end));
    for (let size = 1; size <= whole.length; size += 1) {
      const reader = new EventReader();
      const events = [];
      for (let at = 0; at < whole.length; at += size)
        events.push(...reader.feed(whole.subarray(at, at + size)));
      expect(events).toEqual([
        { name: 'connection', data: 'größer\n2' },
        { name: 'message', data: '' },
        { name: 'message', data: '3' },
      ]);
      expect(reader.lastId).toBe('ü');
    }
  }
});

test('a stream that never ends an event does not fill the memory', () => {
  const reader = new EventReader();
  const more = bytes(`data: ${'x'.repeat(100_000)}\n`);
  expect(() => {
    for (let n = 0; n < 20; n += 1) reader.feed(more);
  }).toThrow('does not end');
});
