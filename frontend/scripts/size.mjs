// What a browser loads before the first page shows must stay small: people open this at 3 a.m. on a phone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const LIMIT = 250_000;

const dist = join(import.meta.dirname, '..', 'dist');
// The entry, and what the build says is to be loaded along with it.
const page = readFileSync(join(dist, 'index.html'), 'utf8');
const initial = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((match) => match[1] ?? '');
const sizes = initial.map((file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length);
const total = sizes.reduce((sum, size) => sum + size, 0);

console.log(
  `Initial JavaScript: ${total / 1000} kB of ${LIMIT / 1000} kB gzipped, in ${initial.length} files`,
);
if (initial.length === 0) throw new Error('The page loads no script: was it built?');
if (total > LIMIT) throw new Error('That is too much. Load what is not needed at once with import().');
if (/<script(?![^>]*\ssrc=)|<style|\sstyle=/.test(page)) {
  throw new Error('The page has an inline script or style, which the Content-Security-Policy refuses.');
}
