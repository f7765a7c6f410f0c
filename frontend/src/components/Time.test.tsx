import { act, cleanup, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { tickerListeners } from '../lib/ticker';
import { Countdown, RelativeTime } from './Time';

const NOW = Date.parse('2026-11-23T12:00:00Z');

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
const pass = (ms: number) => {
  act(() => {
    vi.advanceTimersByTime(ms);
  });
};

it('counts down every second, past the end', () => {
  render(<Countdown at={at(2)} />);
  expect(screen.getByRole('time').textContent).toBe('in 2 s');
  pass(1000);
  expect(screen.getByRole('time').textContent).toBe('in 1 s');
  pass(1000);
  expect(screen.getByRole('time').textContent).toBe('now');
  pass(4000);
  expect(screen.getByRole('time').textContent).toBe('4 s ago');
});

it('says its own word for what is due', () => {
  render(<Countdown at={at(-30)} past="any moment" />);
  expect(screen.getByRole('time').textContent).toBe('any moment');
});

it('runs one timer for all, and none when nobody counts', () => {
  const { unmount } = render(
    <>
      {Array.from({ length: 100 }, (_, row) => (
        <Countdown key={row} at={at(row)} />
      ))}
    </>,
  );
  expect(tickerListeners()).toBe(100);
  expect(vi.getTimerCount()).toBe(1);
  unmount();
  expect(tickerListeners()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

it('counts nothing while the page is not seen, and is right as soon as it is', () => {
  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  render(<Countdown at={at(60)} />);
  document.dispatchEvent(new Event('visibilitychange'));
  pass(30_000);
  expect(screen.getByRole('time').textContent).toBe('in 1 min 0 s');
  hidden.mockReturnValue(false);
  act(() => {
    document.dispatchEvent(new Event('visibilitychange'));
  });
  expect(screen.getByRole('time').textContent).toBe('in 30 s');
  hidden.mockRestore();
});

it('is no live region: nobody is talked over every second', () => {
  const { container } = render(<Countdown at={at(60)} />);
  expect(container.querySelector('[aria-live], [role=timer], [role=status]')).toBeNull();
});

it('says what there is not', () => {
  render(<RelativeTime at={null} none="Not yet" />);
  expect(screen.getByText('Not yet')).toBeDefined();
});
