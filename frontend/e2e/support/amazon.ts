/** The strings behind the simulated Amazon. */

import { type APIRequestContext, expect } from '@playwright/test';

export interface Fault {
  readonly kind: 'status' | 'no_access_token';
  readonly status?: number;
  readonly on?: 'refresh' | 'token' | 'any';
}

/** Amazon answers as if all were well, but there is no token in it. */
export const USELESS_TOKENS: Fault = { kind: 'no_access_token', on: 'refresh' };

export class Amazon {
  readonly #request: APIRequestContext;
  readonly #url: string;

  constructor(request: APIRequestContext, url: string) {
    this.#request = request;
    this.#url = url;
  }

  /** A user takes the permission back in their Amazon account. */
  async revoke(user: string): Promise<void> {
    await expect(await this.#request.post(`${this.#url}/sim/revoke/${user}`)).toBeOK();
  }

  /** What goes wrong from now on: for one user, or for everybody. */
  async breaks(fault: Fault, user?: string): Promise<void> {
    const path = user === undefined ? '/sim/faults' : `/sim/faults/${user}`;
    await expect(await this.#request.put(this.#url + path, { data: fault })).toBeOK();
  }

  /** All is well again, for everybody. */
  async mends(): Promise<void> {
    await expect(await this.#request.delete(`${this.#url}/sim/faults`)).toBeOK();
  }
}
