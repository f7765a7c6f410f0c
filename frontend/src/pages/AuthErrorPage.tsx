import { getRouteApi } from '@tanstack/react-router';

import { ButtonLink } from '../components/Button';
import { landingWords } from '../lib/landingWords';
import { DoorLayout } from './DoorLayout';

const route = getRouteApi('/auth/error');

/** Amazon sent the browser back, and it did not work out. */
export function AuthErrorPage() {
  const { problem } = route.useSearch();
  const { title, text } = landingWords(problem);
  return (
    <DoorLayout title={title} description={text}>
      {/* Whoever is not signed in is asked to, on the way. */}
      <div className="page-actions">
        <ButtonLink to="/connections" variant="primary">
          Go to your connections
        </ButtonLink>
      </div>
      {problem !== undefined && /^[a-z-]{1,40}$/.test(problem) && (
        <p className="small muted">
          For an operator: <code>{problem}</code>
        </p>
      )}
    </DoorLayout>
  );
}
