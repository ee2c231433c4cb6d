// Bundles the third-party code of the page into `dist/`, compressed, with its licences. What the page
// is without it stands in README.md.

import { build } from 'esbuild';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

/** The bundles, each a module with the library as its default. */
const BUNDLES = {
  'hls.js': 'hls.js/dist/hls.min.js',
  'shaka.js': 'shaka-player/dist/shaka-player.dash-es2021.js',
};

/** @type {Set<string>} the packages that go into them */
const packages = new Set();
for (const [name, from] of Object.entries(BUNDLES)) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export { default } from '${from}';`, resolveDir: here },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    metafile: true,
    write: false,
  });
  const script = outputFiles[0].contents;
  const compressed = gzipSync(script, { level: 9 });
  writeFileSync(join(dist, `${name}.gz`), compressed);
  for (const path of Object.keys(metafile.inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
    if (found) packages.add(found[1]);
  }
  console.log(`${name}: ${script.length} bytes, ${compressed.length} compressed`);
}

const texts = [...packages].sort().map((name) => {
  const folder = join(here, 'node_modules', name);
  const { version, license, homepage } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  if (files.length === 0) throw new Error(`${name} has no file with its licence`);
  const all = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return `${name} ${version} (${license})\n${homepage ?? ''}\n\n${all.join('\n\n')}\n`;
});
const own = `aiozfs (Apache-2.0 OR MIT)\n\nThe page contains these packages:\n\n`;
writeFileSync(join(dist, 'licences.txt'), own + texts.join(`\n${'='.repeat(78)}\n\n`));
