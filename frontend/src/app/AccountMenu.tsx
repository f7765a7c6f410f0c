import { useState } from 'react';
import { Button as AriaButton } from 'react-aria-components/Button';
import { Header } from 'react-aria-components/Header';
import { Menu, MenuItem, MenuSection, MenuTrigger } from 'react-aria-components/Menu';
import { Popover } from 'react-aria-components/Popover';

import { ConfirmDialog } from '../components/Dialog';
import { Icon, type IconName } from '../components/Icon';
import { toasts } from '../components/toasts';
import { problemLine } from '../lib/problemWords';
import { session } from '../services/api';
import { type Me, nameOf } from './me';
import { chooseTheme, type ThemeChoice, useThemeChoice } from './theme';

const THEMES: readonly { id: ThemeChoice; label: string; icon: IconName }[] = [
  { id: 'system', label: 'As the system', icon: 'monitor' },
  { id: 'light', label: 'Light', icon: 'sun' },
  { id: 'dark', label: 'Dark', icon: 'moon' },
];

function signOut(everywhere: boolean): void {
  session.signOut({ everywhere }).catch((error: unknown) => {
    toasts.show('bad', `You are still signed in. ${problemLine(error)}`);
  });
}

/** Who is signed in, the theme, and the way out. */
export function AccountMenu({ me }: { me: Me }) {
  const theme = useThemeChoice();
  const [isAsking, ask] = useState(false);
  const name = nameOf(me);
  return (
    <>
      <MenuTrigger>
        <AriaButton
          className="button account-button"
          data-variant="quiet"
          data-size="md"
          aria-label={`Account: ${name}`}
        >
          <Icon name="user" />
          <span className="account-name">{name}</span>
          <span className="chevron">
            <Icon name="chevronDown" size={16} />
          </span>
        </AriaButton>
        {/* Modal popovers inject a style on phones, which the Content-Security-Policy refuses. */}
        <Popover className="menu-popover" placement="bottom end" isNonModal>
          <div className="menu-head">
            <strong className="truncate" title={name}>
              {name}
            </strong>
            {me.email !== name && (
              <span className="truncate small muted" title={me.email}>
                {me.email}
              </span>
            )}
          </div>
          <Menu className="menu" aria-label="Account">
            <MenuSection
              selectionMode="single"
              disallowEmptySelection
              selectedKeys={[theme]}
              onSelectionChange={(keys) => {
                const chosen = THEMES.find(({ id }) => keys !== 'all' && keys.has(id));
                if (chosen) chooseTheme(chosen.id);
              }}
            >
              <Header className="menu-section">Theme</Header>
              {THEMES.map(({ id, label, icon }) => (
                <MenuItem key={id} id={id} className="menu-item" textValue={label}>
                  <Icon name={icon} />
                  {label}
                  {theme === id && (
                    <span className="menu-check">
                      <Icon name="check" size={16} />
                    </span>
                  )}
                </MenuItem>
              ))}
            </MenuSection>
            <MenuSection className="menu-divided" aria-label="Session">
              <MenuItem
                className="menu-item"
                textValue="Sign out"
                onAction={() => {
                  signOut(false);
                }}
              >
                <Icon name="signOut" />
                Sign out
              </MenuItem>
              <MenuItem
                className="menu-item"
                textValue="Sign out everywhere"
                onAction={() => {
                  ask(true);
                }}
              >
                <Icon name="globe" />
                Sign out everywhere
              </MenuItem>
            </MenuSection>
          </Menu>
        </Popover>
      </MenuTrigger>
      <ConfirmDialog
        isOpen={isAsking}
        title="Sign out everywhere?"
        confirm="Sign out everywhere"
        onConfirm={() => {
          ask(false);
          signOut(true);
        }}
        onClose={() => {
          ask(false);
        }}
      >
        <p>You are signed out in all browsers and on all devices, this one too.</p>
        <p>Your connections are not affected: they are kept alive as before.</p>
      </ConfirmDialog>
    </>
  );
}
