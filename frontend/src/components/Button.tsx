import { createLink } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, ReactNode, Ref } from 'react';
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components/Button';

import { Icon, type IconName } from './Icon';

interface Look {
  variant?: 'primary' | 'secondary' | 'quiet' | 'danger';
  size?: 'md' | 'sm';
  icon?: IconName;
}

export interface ButtonProps extends Look, Omit<AriaButtonProps, 'children' | 'className' | 'style'> {
  /** What it says. An icon alone needs an `aria-label` instead. */
  children?: ReactNode;
  className?: string;
}

/** Does something. `isPending`: it is being done, which is said as well as shown, and it cannot be pressed again. */
export function Button({
  variant = 'secondary',
  size = 'md',
  icon,
  children,
  className = '',
  ...rest
}: ButtonProps) {
  return (
    <AriaButton
      {...rest}
      className={`button ${className}`}
      data-variant={variant}
      data-size={size}
      data-icon-only={children === undefined || undefined}
    >
      {({ isPending }) => (
        <>
          {isPending ? (
            <span className="spinner" aria-hidden="true" />
          ) : (
            icon && <Icon name={icon} size={size === 'sm' ? 16 : 18} />
          )}
          {children}
        </>
      )}
    </AriaButton>
  );
}

type AnchorProps = Look &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'children'> & {
    children?: ReactNode;
    ref?: Ref<HTMLAnchorElement>;
  };

function Anchor({ variant = 'secondary', size = 'md', icon, children, ...rest }: AnchorProps) {
  return (
    <a {...rest} className="button" data-variant={variant} data-size={size}>
      {icon && <Icon name={icon} size={size === 'sm' ? 16 : 18} />}
      {children}
    </a>
  );
}

/** Goes to another page, and looks like a button. */
export const ButtonLink = createLink(Anchor);
