import type { ReactNode } from 'react';

import { usePageTitle } from '../app/pageFocus';
import { Mark } from '../components/Icon';

interface DoorProps {
  title: string;
  description?: ReactNode;
  children?: ReactNode;
}

/** What is around the pages before one is in: one card in the middle. */
export function Door({ children }: { children: ReactNode }) {
  return (
    <div className="door">
      <header className="brand">
        <Mark size={28} />
        Evergrant
      </header>
      <main className="door-main">
        <div className="card door-card">{children}</div>
      </main>
    </div>
  );
}

/** A page before one is in. */
export function DoorLayout({ title, description, children }: DoorProps) {
  usePageTitle(title);
  return (
    <Door>
      <h1 tabIndex={-1}>{title}</h1>
      {description !== undefined && <p className="muted">{description}</p>}
      {children}
    </Door>
  );
}
