import type { ReactNode } from 'react';

import { usePageTitle } from '../app/pageFocus';

interface PageHeadProps {
  /** The heading, and the title in the browser. */
  title: string;
  /** What stands beside the heading, such as a badge. */
  beside?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
}

export function PageHead({ title, beside, description, actions }: PageHeadProps) {
  usePageTitle(title);
  return (
    <div className="page-head">
      <div>
        <div className="page-title">
          <h1 tabIndex={-1}>{title}</h1>
          {beside}
        </div>
        {description !== undefined && <p>{description}</p>}
      </div>
      {actions !== undefined && <div className="page-actions">{actions}</div>}
    </div>
  );
}
