import { type ReactNode, type SelectHTMLAttributes, useId } from 'react';
import { Input } from 'react-aria-components/Input';
import { Label } from 'react-aria-components/Label';
import { Text } from 'react-aria-components/Text';
import { FieldError } from 'react-aria-components/FieldError';
import { TextField as AriaTextField, type TextFieldProps } from 'react-aria-components/TextField';

interface FieldProps extends Omit<TextFieldProps, 'children' | 'className' | 'style'> {
  label: string;
  help?: string;
  placeholder?: string;
  /** What is wrong with it. */
  error?: string | undefined;
}

/** One line of text, with its label, what helps to fill it in, and what is wrong with it. */
export function TextField({ label, help, placeholder, error, ...rest }: FieldProps) {
  return (
    <AriaTextField {...rest} {...(error === undefined ? {} : { isInvalid: true })} className="field">
      <Label>{label}</Label>
      <Input className="input" {...(placeholder === undefined ? {} : { placeholder })} />
      {help !== undefined && (
        <Text slot="description" className="field-help">
          {help}
        </Text>
      )}
      <FieldError className="field-error">{error}</FieldError>
    </AriaTextField>
  );
}

interface SelectProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  children: ReactNode;
}

/** One of a few. The browser's own, which phones and screen readers know best. */
export function SelectField({ label, children, ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select {...rest} id={id} className="input">
        {children}
      </select>
    </div>
  );
}
