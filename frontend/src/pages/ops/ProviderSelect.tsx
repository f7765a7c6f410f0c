import { useQuery } from '@tanstack/react-query';

import { SelectField } from '../../components/Field';
import { providerWords } from '../../lib/words';
import { overviewQuery } from './queries';

/** One of the provider apps that there are, and the one that the address names. */
export function ProviderSelect({ value }: { value: string | undefined }) {
  const { data } = useQuery({ ...overviewQuery, refetchInterval: false, staleTime: 60_000 });
  const known = data?.provider_apps?.map(({ provider }) => provider) ?? [];
  const names = [...new Set(value === undefined ? known : [...known, value])];
  return (
    <SelectField key={names.join()} label="Provider app" name="provider" defaultValue={value ?? ''}>
      <option value="">Any</option>
      {names.map((name) => (
        <option key={name} value={name}>
          {providerWords(name)}
        </option>
      ))}
    </SelectField>
  );
}
