import { Link, type LinkProps } from '@tanstack/react-router';

import type { Tone } from '../../lib/words';
import { number } from './words';

interface TileProps {
  label: string;
  value: number | string | null | undefined;
  tone?: Tone;
  note?: string;
  to?: Pick<LinkProps, 'to' | 'search'>;
}

/** A number that matters, and where it leads to. */
export function Tile({ label, value, tone, note, to }: TileProps) {
  const content = (
    <>
      <span className="tile-label" data-tone={tone}>
        {label}
      </span>
      <span className="tile-number">
        {typeof value === 'number' ? number(value) : (value ?? 'Not known')}
      </span>
      {note && <span className="muted small">{note}</span>}
    </>
  );
  return (
    <li>
      {to ? (
        <Link {...to} className="tile">
          {content}
        </Link>
      ) : (
        <div className="tile">{content}</div>
      )}
    </li>
  );
}
