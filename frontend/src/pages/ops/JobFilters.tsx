import { SelectField } from '../../components/Field';
import { VERDICTS } from '../../lib/words';
import { FilterForm, FilterInput } from './FilterForm';
import { filled, fromField, JOB_FILTERS, type JobSearch, toField } from './filters';
import { ProviderSelect } from './ProviderSelect';
import { JOB_STATES, KINDS, kindWords } from './words';

interface JobFiltersProps {
  search: JobSearch;
  onChange: (search: JobSearch) => void;
  onClear: (() => void) | undefined;
}

const MORE = ['code', 'user', 'connection', 'since', 'until'] as const;

/** Which failed jobs are shown, and dealt with when all are. */
export function JobFilters({ search, onChange, onClear }: JobFiltersProps) {
  const kinds = [...new Set([...Object.keys(KINDS), ...(search.kind ? [search.kind] : [])])];
  const isMoreUsed = MORE.some((name) => search[name] !== undefined);
  return (
    <FilterForm
      label="Filter failed jobs"
      shown={JSON.stringify(filled(JOB_FILTERS, search))}
      onClear={onClear}
      onChange={({ since, until, ...fields }) => {
        onChange(filled(JOB_FILTERS, { ...fields, since: fromField(since), until: fromField(until) }));
      }}
    >
      <FilterInput
        isWide
        type="search"
        name="text"
        label="Search in errors"
        value={search.text}
        placeholder="Such as timed out"
      />
      <SelectField label="State" name="state" defaultValue={search.state ?? ''}>
        {Object.entries(JOB_STATES).map(([state, { label }]) => (
          <option key={state} value={state === 'open' ? '' : state}>
            {label}
          </option>
        ))}
        <option value="all">Any</option>
      </SelectField>
      <SelectField label="Job" name="kind" defaultValue={search.kind ?? ''}>
        <option value="">Any</option>
        {kinds.map((kind) => (
          <option key={kind} value={kind}>
            {kindWords(kind)}
          </option>
        ))}
      </SelectField>
      <ProviderSelect value={search.provider} />
      <SelectField label="Last answer" name="verdict" defaultValue={search.verdict ?? ''}>
        <option value="">Any</option>
        {Object.entries(VERDICTS)
          .filter(([verdict]) => verdict !== 'refreshed')
          .map(([verdict, { label }]) => (
            <option key={verdict} value={verdict}>
              {label}
            </option>
          ))}
      </SelectField>
      <details className="filters-more" open={isMoreUsed}>
        <summary>More filters</summary>
        <div>
          <FilterInput
            name="code"
            label="Error code"
            value={search.code}
            placeholder="Such as server_error"
          />
          <FilterInput name="user" label="User" value={search.user} />
          <FilterInput name="connection" label="Connection id" value={search.connection} />
          <FilterInput
            type="datetime-local"
            name="since"
            label="Given up since"
            value={toField(search.since)}
          />
          <FilterInput
            type="datetime-local"
            name="until"
            label="Given up before"
            value={toField(search.until)}
          />
        </div>
      </details>
    </FilterForm>
  );
}
