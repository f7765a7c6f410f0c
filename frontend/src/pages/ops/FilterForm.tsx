import { type ReactNode, useLayoutEffect, useRef } from 'react';

import { Button } from '../../components/Button';

interface FilterFormProps {
  label: string;
  /** What the address says: the fields show it, also after going back. */
  shown: string;
  onChange: (fields: Record<string, string>) => void;
  /** Takes all filters away; absent if there is none. */
  onClear: (() => void) | undefined;
  children: ReactNode;
}

/** Filters. A choice holds at once, a text when Enter or the button is pressed. */
export function FilterForm({ label, shown, onChange, onClear, children }: FilterFormProps) {
  const form = useRef<HTMLFormElement>(null);
  const changed = useRef<string>(undefined);
  // The form is made anew with what the address says; whoever chose something goes on from there.
  useLayoutEffect(() => {
    if (changed.current === undefined) return;
    const field = form.current?.elements.namedItem(changed.current);
    if (field instanceof HTMLElement) field.focus();
    changed.current = undefined;
  }, [shown]);
  const read = (filled: HTMLFormElement) => {
    const active = document.activeElement;
    changed.current =
      active instanceof HTMLInputElement || active instanceof HTMLSelectElement ? active.name : undefined;
    const fields: Record<string, string> = {};
    for (const [name, value] of new FormData(filled)) if (typeof value === 'string') fields[name] = value;
    onChange(fields);
  };
  return (
    <search>
      <form
        key={shown}
        ref={form}
        className="filters"
        aria-label={label}
        onSubmit={(event) => {
          event.preventDefault();
          read(event.currentTarget);
        }}
        onChange={(event) => {
          if (event.target instanceof HTMLSelectElement) read(event.currentTarget);
        }}
      >
        {children}
        <div className="filters-actions">
          <Button type="submit" icon="search">
            Search
          </Button>
          {onClear && (
            <Button variant="quiet" onPress={onClear}>
              Clear filters
            </Button>
          )}
        </div>
      </form>
    </search>
  );
}

/** A field of the form, that keeps its own text until the form is sent. */
export function FilterInput({
  label,
  name,
  value,
  type = 'text',
  placeholder,
  isWide = false,
}: {
  label: string;
  name: string;
  value: string | undefined;
  type?: 'text' | 'search' | 'datetime-local';
  placeholder?: string;
  isWide?: boolean;
}) {
  return (
    <div className={isWide ? 'field filters-wide' : 'field'}>
      <label htmlFor={`filter-${name}`}>{label}</label>
      <input
        id={`filter-${name}`}
        className="input"
        type={type}
        name={name}
        defaultValue={value}
        placeholder={placeholder}
        autoComplete="off"
        spellCheck={false}
      />
    </div>
  );
}
