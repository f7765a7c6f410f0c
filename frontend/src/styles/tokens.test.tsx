import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const css = readFileSync(join(process.cwd(), 'src/styles/tokens.css'), 'utf8');
const [lightCss, darkCss] = css.split("[data-theme='dark']");

function colours(block: string | undefined): Map<string, string> {
  return new Map(
    [...(block ?? '').matchAll(/--([\w-]+):\s*(#[\da-f]{6});/g)].map(([, name, hex]) => [
      name ?? '',
      hex ?? '',
    ]),
  );
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const GROUNDS = ['color-bg', 'color-surface', 'color-sunken', 'color-hover'];
const TEXTS: (readonly [string, readonly string[]])[] = [
  ['color-text', GROUNDS],
  ['color-muted', GROUNDS],
  ['color-link', [...GROUNDS, 'color-accent-soft']],
  ['color-on-accent', ['color-accent', 'color-accent-hover']],
  ['color-on-danger', ['color-danger', 'color-danger-hover']],
  ...['good', 'warn', 'bad', 'info', 'neutral'].map((tone) => [`${tone}-text`, [`${tone}-bg`]] as const),
  ['bad-text', ['color-surface']],
];
/** What is seen rather than read: borders of fields, the focus, lines of charts. */
const MARKS: (readonly [string, readonly string[]])[] = [
  ['color-focus', GROUNDS],
  ['color-border-strong', ['color-surface', 'color-bg']],
  ...[1, 2, 3, 4, 5, 6].map((chart) => [`chart-${chart}`, ['color-surface']] as const),
];

describe.each([
  ['light', colours(lightCss)],
  // What the dark theme does not say again stays as it is in the light one.
  ['dark', new Map([...colours(lightCss), ...colours(darkCss)])],
])('in the %s theme', (_, found) => {
  const colour = (name: string) => {
    const hex = found.get(name);
    if (hex === undefined) throw new Error(`There is no colour --${name}.`);
    return hex;
  };

  it.each(TEXTS.flatMap(([text, grounds]) => grounds.map((ground) => [text, ground] as const)))(
    '%s can be read on %s',
    (text, ground) => {
      expect(contrast(colour(text), colour(ground))).toBeGreaterThanOrEqual(4.5);
    },
  );

  it.each(MARKS.flatMap(([mark, grounds]) => grounds.map((ground) => [mark, ground] as const)))(
    '%s can be seen on %s',
    (mark, ground) => {
      expect(contrast(colour(mark), colour(ground))).toBeGreaterThanOrEqual(3);
    },
  );
});
