import type { ReactNode } from 'react';

import type { Tone } from '../lib/words';
import { Icon, type IconName } from './Icon';

interface BannerProps {
  tone: Tone;
  title: ReactNode;
  children?: ReactNode;
  icon?: IconName;
  /** The one button that mends it. */
  action?: ReactNode;
}

/** Something that everybody on the page should know. Screen readers are told when it comes. */
export function Banner({ tone, title, children, icon = 'warning', action }: BannerProps) {
  return (
    <div className="banner" data-tone={tone} role="status">
      <Icon name={icon} size={20} />
      <div className="banner-text">
        <strong>{title}</strong>
        {children}
      </div>
      {action}
    </div>
  );
}
