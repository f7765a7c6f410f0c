/** The systems that `cargo xtask browser` has started. */

import { readFileSync } from 'node:fs';

export interface World {
  readonly shape: 'embedded' | 'cluster';
  /** One for each process that serves the page. */
  readonly urls: readonly string[];
  /** The simulated Amazon. */
  readonly amazon: string;
  /** An operator who signs in with a password. */
  readonly email: string;
  readonly password: string;
}

const file = process.env['EVERGRANT_WORLDS'];
if (file === undefined) throw new Error('Nothing runs that could be tested: call `cargo xtask browser`.');

export const worlds = JSON.parse(readFileSync(file, 'utf8')) as readonly World[];
