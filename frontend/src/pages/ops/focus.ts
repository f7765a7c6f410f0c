import { useEffect } from 'react';

/**
 * What is dealt with disappears from its list, and the button that had the focus with it. Then the focus goes to the
 * heading, and not to nowhere, where a screen reader and the keyboard would begin again at the top.
 */
export function useKeptFocus(): void {
  useEffect(() => {
    let last: Element | undefined;
    const remember = ({ target }: FocusEvent) => {
      if (target instanceof Element) last = target;
    };
    const look = () => {
      if (!last || last.isConnected || document.activeElement !== document.body) return;
      last = undefined;
      document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true });
    document.addEventListener('focusin', remember);
    return () => {
      observer.disconnect();
      document.removeEventListener('focusin', remember);
    };
  }, []);
}
