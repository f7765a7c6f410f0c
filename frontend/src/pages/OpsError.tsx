import type { ErrorComponentProps } from '@tanstack/react-router';

import { NotAnOperator } from '../app/guards';
import { PageError } from '../app/Root';
import { ButtonLink } from '../components/Button';
import { PageHead } from '../components/PageHead';

/** Why a page of operators could not be shown. */
export function OpsError(props: ErrorComponentProps) {
  return props.error instanceof NotAnOperator ? <ForOperators /> : <PageError {...props} />;
}

function ForOperators() {
  return (
    <>
      <PageHead
        title="This page is for operators"
        description="It shows how Evergrant runs. Whoever runs it for you can give you access; your own connections are not affected."
      />
      <ButtonLink to="/connections" variant="primary">
        Go to your connections
      </ButtonLink>
    </>
  );
}
