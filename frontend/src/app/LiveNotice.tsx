import { useEffect, useState, useSyncExternalStore } from 'react';

import { Banner } from '../components/Banner';
import { live } from '../services/api';

/** A break this short is nothing to speak of: a restart, a change of network. */
const PATIENCE_MS = 8_000;

const subscribe = (told: () => void) => live.onState(told);

/** Says that the page is not live any more. */
export function LiveNotice() {
  const state = useSyncExternalStore(subscribe, () => live.state.is);
  return state === 'waiting' ? <Broken /> : null;
}

function Broken() {
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(setLong, PATIENCE_MS, true);
    return () => {
      clearTimeout(timer);
    };
  }, []);
  if (!isLong) return null;
  return (
    <Banner tone="neutral" title="This page cannot be updated at the moment.">
      It goes on by itself when Evergrant can be reached. Your connections are kept alive without it.
    </Banner>
  );
}
