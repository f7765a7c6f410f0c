import { getRouteApi, lazyRouteComponent } from '@tanstack/react-router';

import { ButtonLink } from '../components/Button';
import { PageHead } from '../components/PageHead';

const signedIn = getRouteApi('/signed-in');
const OpsLayout = lazyRouteComponent(() => import('./ops/OpsLayout'), 'OpsLayout');

/** Lets in operators only. The API looks at each request by itself; this is for people who followed a link. */
export function OpsGate() {
  const { me } = signedIn.useRouteContext();
  return me.is_admin ? <OpsLayout /> : <ForOperators />;
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
