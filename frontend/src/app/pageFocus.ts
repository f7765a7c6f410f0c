import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

/**
 * After a change of page the focus goes to its heading, so that a screen reader says where one is and the keyboard goes
 * on from there. Not at the first page, where the browser begins at the top by itself, and not while only the query of
 * the address changes, as filters do.
 */
export function usePageFocus(): void {
  const router = useRouter();
  useEffect(
    () =>
      router.subscribe('onRendered', ({ pathChanged, fromLocation }) => {
        if (!pathChanged || !fromLocation) return;
        // Lazy pages draw their heading a moment later; the landmark is there at once.
        const place =
          document.querySelector<HTMLElement>('main h1') ?? document.querySelector<HTMLElement>('main');
        place?.focus({ preventScroll: true });
      }),
    [router],
  );
}

const NAME = 'Evergrant';

/** The title of the page in the browser, which is also what a screen reader says first. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = title === NAME ? NAME : `${title} · ${NAME}`;
  }, [title]);
}
