import { useState } from 'react';

import { useDisconnect, useReconnect, useRefreshNow } from '../../app/connections';
import { Button } from '../../components/Button';
import { ConfirmDialog } from '../../components/Dialog';
import { useNow } from '../../lib/ticker';
import { accountWords, type Connection } from '../../lib/words';
import { consentWarning } from './WhatItMeans';

/** What a user can do with a connection. The one that mends it stands first and stands out. */
export function ConnectionActions({ connection }: { connection: Connection }) {
  const refresh = useRefreshNow();
  const reconnect = useReconnect();
  const disconnect = useDisconnect();
  const [isAsking, ask] = useState(false);
  const now = useNow(60_000);
  const { name } = accountWords(connection);
  const isEnded = connection.state === 'needs_reauth';
  const isGone = connection.state === 'disconnected';
  const isUrgent = isEnded || consentWarning(connection, now) !== undefined;
  return (
    <div className="connection-actions">
      {!isEnded && !isGone && (
        <Button
          size="sm"
          icon="refresh"
          isPending={refresh.isPending}
          aria-label={`Refresh now: ${name}`}
          onPress={() => {
            refresh.mutate(connection);
          }}
        >
          Refresh now
        </Button>
      )}
      <Button
        size="sm"
        icon="link"
        variant={isUrgent ? 'primary' : 'secondary'}
        isPending={reconnect.isPending}
        aria-label={`Reconnect: ${name}`}
        onPress={() => {
          reconnect.mutate(connection);
        }}
      >
        Reconnect
      </Button>
      {!isGone && (
        <Button
          size="sm"
          variant="quiet"
          icon="unlink"
          isPending={disconnect.isPending}
          aria-label={`Disconnect: ${name}`}
          onPress={() => {
            ask(true);
          }}
        >
          Disconnect
        </Button>
      )}
      <ConfirmDialog
        isOpen={isAsking}
        isDangerous
        title={`Disconnect ${name}?`}
        confirm="Disconnect"
        onConfirm={() => {
          ask(false);
          disconnect.mutate(connection);
        }}
        onClose={() => {
          ask(false);
        }}
      >
        <p>Its tokens are deleted here, and everything that works with this account stops at once.</p>
        <p>
          You can connect it again at any time. To take the permission back at Amazon as well, remove
          Evergrant in your Amazon account under “Login with Amazon”.
        </p>
      </ConfirmDialog>
    </div>
  );
}
