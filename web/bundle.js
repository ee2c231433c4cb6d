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

const { outputFiles, metafile } = await build({
  stdin: {
    contents: "export { default } from 'shaka-player/dist/shaka-player.compiled-es2021.js';",
    resolveDir: here,
  },
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  metafile: true,
  write: false,
});
const script = outputFiles[0].contents;
writeFileSync(join(dist, 'shaka.js.gz'), gzipSync(script, { level: 9 }));

/** The packages that went into it. */
const packages = new Set(Object.keys(metafile.inputs).flatMap((path) => {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
  return found ? [found[1]] : [];
}));
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
console.log(`${[...packages].join(', ')}: ${script.length} bytes, ${readFileSync(join(dist, 'shaka.js.gz')).length} compressed`);
