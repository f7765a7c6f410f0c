import { Link } from '@tanstack/react-router';

import { accountWords, type Connection, providerWords } from '../../lib/words';
import { ConnectionActions } from './ConnectionActions';
import { ConnectionTimes } from './ConnectionTimes';
import { StandingBadge, WhatItMeans } from './WhatItMeans';

/** One account on the list. */
export function ConnectionCard({ connection }: { connection: Connection }) {
  const { name, detail } = accountWords(connection);
  return (
    <article className="card connection" data-state={connection.state}>
      <div className="connection-head">
        <div className="connection-name">
          <h2>
            <Link
              to="/connections/$id"
              params={{ id: connection.id }}
              className="connection-link truncate"
              title={name}
            >
              {name}
            </Link>
          </h2>
          <p className="connection-where">
            <span>{providerWords(connection.provider)}</span>
            {detail !== undefined && (
              <span className="truncate" title={detail}>
                {detail}
              </span>
            )}
          </p>
        </div>
        <StandingBadge connection={connection} />
      </div>
      <WhatItMeans connection={connection} />
      {connection.state !== 'disconnected' && <ConnectionTimes connection={connection} />}
      <ConnectionActions connection={connection} />
    </article>
  );
}
