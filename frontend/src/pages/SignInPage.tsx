import { useMutation } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { type SubmitEvent, useState } from 'react';

import { Banner } from '../components/Banner';
import { Button } from '../components/Button';
import { TextField } from '../components/Field';
import { problemWords } from '../lib/problemWords';
import { leaveFor, localPath } from '../lib/redirect';
import api, { type components } from '../services/api';
import { DoorLayout } from './DoorLayout';

const route = getRouteApi('/sign-in');

export function SignInPage() {
  const { redirect, why } = route.useSearch();
  const router = useRouter();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const onward = localPath(redirect);

  const withAmazon = useMutation({
    mutationFn: async () => {
      const params = { connect: false, redirect_uri: onward };
      type ConsentPage = components['schemas']['ConsentPage'];
      leaveFor((await api.get<ConsentPage>('/auth/amazon/login', { params })).data.auth_url);
    },
  });
  const withPassword = useMutation({
    mutationFn: () => api.post('/auth/login', { email: email.trim(), password }),
    onSuccess: () => router.navigate({ href: onward, replace: true }),
  });
  const error = withPassword.error ?? withAmazon.error;
  const failure = error ? problemWords(error) : undefined;

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    withAmazon.reset();
    withPassword.mutate();
  };
  return (
    <DoorLayout
      title="Sign in"
      description="See your Amazon Ads connections, and mend them when Amazon asks."
    >
      {why === 'session-ended' && !failure && (
        <Banner tone="info" title="Your session has ended.">
          Sign in again to go on. Your connections were kept alive meanwhile.
        </Banner>
      )}
      {why === 'by-user' && !failure && (
        <Banner tone="good" icon="check" title="You are signed out.">
          Your connections stay alive.
        </Banner>
      )}
      <div role="alert">
        {failure && (
          <Banner tone="bad" title={failure.title}>
            {failure.detail === `${failure.title}.` ? undefined : failure.detail}
          </Banner>
        )}
      </div>
      <Button
        variant="primary"
        className="button-wide"
        isPending={withAmazon.isPending}
        onPress={() => {
          withPassword.reset();
          withAmazon.mutate();
        }}
      >
        Sign in with Amazon
      </Button>
      <div className="or">
        <span>or with your e-mail address</span>
      </div>
      <form className="door-form" onSubmit={submit}>
        <TextField
          label="E-mail address"
          type="email"
          name="email"
          autoComplete="username"
          isRequired
          value={email}
          onChange={setEmail}
        />
        <TextField
          label="Password"
          type="password"
          name="password"
          autoComplete="current-password"
          isRequired
          value={password}
          onChange={setPassword}
        />
        <Button type="submit" className="button-wide" isPending={withPassword.isPending}>
          Sign in
        </Button>
      </form>
    </DoorLayout>
  );
}
