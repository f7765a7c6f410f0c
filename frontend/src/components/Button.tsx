import { createLink } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, ReactNode, Ref } from 'react';
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components/Button';

import { Icon, type IconName } from './Icon';

interface Look {
  variant?: 'primary' | 'secondary' | 'quiet' | 'danger';
  size?: 'md' | 'sm';
  icon?: IconName;
}

export interface ButtonProps
  extends Look, Omit<AriaButtonProps, 'children' | 'className' | 'style' | 'isPending'> {
  /** What it says. An icon alone needs an `aria-label` instead. */
  children?: ReactNode;
  className?: string;
  /** It is being done: that shows, and it cannot be pressed again. What comes of it is told by whoever does it. */
  isPending?: boolean;
}

/** Does something. */
export function Button({
  variant = 'secondary',
  size = 'md',
  icon,
  children,
  className = '',
  isPending = false,
  type = 'button',
  onPress,
  ...rest
}: ButtonProps) {
  return (
    <AriaButton
      {...rest}
      // It keeps the focus while it is being done, so it is not disabled. A form has nothing to submit it with meanwhile.
      // react-aria's own pending state leaves a message behind that refers to what is gone, which axe finds.
      type={isPending ? 'button' : type}
      {...(isPending ? { 'aria-disabled': true } : {})}
      onPress={(event) => {
        if (!isPending) onPress?.(event);
      }}
      className={`button ${className}`}
      data-variant={variant}
      data-size={size}
      data-icon-only={children === undefined || undefined}
      data-pending={isPending || undefined}
    >
      {isPending ? (
        <span className="spinner" aria-hidden="true" />
      ) : (
        icon && <Icon name={icon} size={size === 'sm' ? 16 : 18} />
      )}
      {children}
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
