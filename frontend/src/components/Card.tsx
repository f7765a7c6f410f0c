import { type ReactNode, useId } from 'react';

interface CardProps {
  /** Its heading. Without one it is a plain surface. */
  title?: ReactNode;
  description?: ReactNode;
  /** What can be done, beside the heading. */
  actions?: ReactNode;
  /** Without padding: for tables. */
  flush?: boolean;
  children: ReactNode;
}

export function Card({ title, description, actions, flush = false, children }: CardProps) {
  const id = useId();
  const body = flush ? children : <div className="card-body">{children}</div>;
  if (title === undefined) return <div className="card">{body}</div>;
  return (
    <section className="card" aria-labelledby={id}>
      <div className="card-head">
        <div>
          <h2 id={id}>{title}</h2>
          {description !== undefined && <p>{description}</p>}
        </div>
        {actions}
      </div>
      {body}
    </section>
  );
}
