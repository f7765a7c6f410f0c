// Packs what was built, once and as small as it gets: the program sends the packed files as they are.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** Pictures and fonts are packed already. */
const PACKED_WELL = /\.(?:css|html|js|json|svg|txt|webmanifest)$/;
/** Less fits into one packet of the network anyway. */
const LEAST = 1_000;

const dist = join(import.meta.dirname, '..', 'dist');
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!PACKED_WELL.test(name)) continue;
  const file = join(dist, name);
  const plain = readFileSync(file);
  if (plain.length < LEAST) continue;
  writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  writeFileSync(`${file}.br`, brotliCompressSync(plain, { params }));
}
