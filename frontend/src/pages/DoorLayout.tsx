import type { ReactNode } from 'react';

import { usePageTitle } from '../app/pageFocus';
import { Mark } from '../components/Icon';

interface DoorProps {
  title: string;
  description?: ReactNode;
  children?: ReactNode;
}

/** The pages before one is in: one card in the middle. */
export function DoorLayout({ title, description, children }: DoorProps) {
  usePageTitle(title);
  return (
    <div className="door">
      <header className="brand">
        <Mark size={28} />
        Evergrant
      </header>
      <main className="door-main">
        <div className="card door-card">
          <h1 tabIndex={-1}>{title}</h1>
          {description !== undefined && <p className="muted">{description}</p>}
          {children}
        </div>
      </main>
    </div>
  );
}
