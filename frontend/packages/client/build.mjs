// Builds the package out of the page's own sources, so that there is one client and not two.
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const here = import.meta.dirname;
const dist = join(here, 'dist');
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(dirname(typescript), 'bin', 'tsc'), '-p', here], { stdio: 'inherit' });
// The compiler takes a declaration for something that is there already and leaves it out.
copyFileSync(join(here, '../../src/services/schema.d.ts'), join(dist, 'schema.d.ts'));

// What cannot be imported is found out here and not by whoever installs it.
/** @type {{ default: { get: unknown }, createClient: unknown }} */
const { default: api, createClient } = await import(pathToFileURL(join(dist, 'api.js')).href);
if (typeof api.get !== 'function' || typeof createClient !== 'function') {
  throw new Error('The built client does not export what it should.');
}
