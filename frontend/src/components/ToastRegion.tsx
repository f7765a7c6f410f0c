import { useEffect, useState, useSyncExternalStore } from 'react';

import { Button } from './Button';
import { type ToastMessage, toasts } from './toasts';

const SHOWN_MS = 7_000;

/** The one place where toasts appear. It is always there: screen readers tell only what changes in a place they know. */
export function ToastRegion() {
  const messages = useSyncExternalStore(toasts.subscribe, toasts.get);
  const [isHeld, hold] = useState(false);
  return (
    <section
      className="toasts"
      aria-label="Notifications"
      aria-live="polite"
      onPointerEnter={() => {
        hold(true);
      }}
      onPointerLeave={() => {
        hold(false);
      }}
    >
      {messages.map((message) => (
        <Toast key={message.id} message={message} isHeld={isHeld} />
      ))}
    </section>
  );
}

function Toast({ message, isHeld }: { message: ToastMessage; isHeld: boolean }) {
  const { id, tone, text } = message;
  const [isFocused, setFocused] = useState(false);
  useEffect(() => {
    if (isHeld || isFocused) return;
    const timer = setTimeout(() => {
      toasts.dismiss(id);
    }, SHOWN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [id, isHeld, isFocused]);
  return (
    <div className="toast" data-tone={tone}>
      <p>{text}</p>
      <Button
        variant="quiet"
        size="sm"
        icon="close"
        aria-label="Dismiss"
        onFocusChange={setFocused}
        onPress={() => {
          toasts.dismiss(id);
        }}
      />
    </div>
  );
}
