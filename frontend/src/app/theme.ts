/** Light or dark: as the system has it, or as the reader chose here. */

import { useSyncExternalStore } from 'react';

export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'evergrant-theme';
const listeners = new Set<() => void>();
let choice: ThemeChoice = 'system';

const darkSystem = () => globalThis.matchMedia('(prefers-color-scheme: dark)');

function isChoice(word: string | null): word is ThemeChoice {
  return word === 'system' || word === 'light' || word === 'dark';
}

function stored(): ThemeChoice {
  try {
    const word = localStorage.getItem(KEY);
    return isChoice(word) ? word : 'system';
  } catch {
    // A browser that keeps nothing for pages shows them as its system has it.
    return 'system';
  }
}

function apply(): void {
  const isDark = choice === 'dark' || (choice === 'system' && darkSystem().matches);
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  for (const listener of [...listeners]) listener();
}

/** Shows the theme from now on, follows the system and the other tabs. Called once, before anything is drawn. */
export function startTheme(): void {
  choice = stored();
  apply();
  darkSystem().addEventListener('change', apply);
  addEventListener('storage', (event) => {
    if (event.key !== KEY) return;
    choice = stored();
    apply();
  });
}

export function chooseTheme(next: ThemeChoice): void {
  choice = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Then it holds until the page is left.
  }
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, () => choice);
}

/** What is shown, for drawings that take their colours from the page when they are drawn. */
export function useShownTheme(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () =>
    document.documentElement.dataset['theme'] === 'dark' ? 'dark' : 'light',
  );
}
