// How fast the page plays by proven bytes, beside hls.js on loose files: from the click to the first
// frame, and from a seek to the first frame there. Then the bytes that the page's engine fetches for a
// film that is read in order.
//
// Usage: node first-frame.js NODE CID PATH LOOSE [RUNS]
//   NODE   the page, as http://127.0.0.1:9901, behind a proxy that shapes the link
//   CID    of the archive, PATH the master playlist in it
//   LOOSE  the URL of the same playlist among loose files, behind such a proxy
// Chromium without a window.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { browse } from '../test/browser/harness.js';

const [, , node, cid, path, loose, runs = '5'] = process.argv;
const encoded = path.split('/').map(encodeURIComponent).join('/');
const hlsJs = readFileSync(new URL('../node_modules/hls.js/dist/hls.min.js', import.meta.url));

/** A page with hls.js alone. */
const server = createServer((request, response) => {
  if (request.url === '/hls.js') response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(hlsJs);
  else response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><script src="/hls.js"></script><video muted></video>');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const plain = `http://127.0.0.1:${server.address().port}/`;

/** Runs in the page: `start` begins, and the times of the first frame and of one after a seek come back. */
async function measure(kind, argument, seconds) {
  const frame = () => new Promise((resolve) => {
    const wait = () => {
      const video = document.querySelector('video');
      if (video) video.requestVideoFrameCallback(resolve);
      else setTimeout(wait, 1);
    };
    wait();
  });
  const started = performance.now();
  if (kind === 'page') {
    [...document.querySelectorAll('.row')].find((row) => row.textContent.includes(argument)).click();
  } else {
    const hls = new window.Hls();
    hls.loadSource(argument);
    hls.attachMedia(document.querySelector('video'));
    hls.on('hlsManifestParsed', () => document.querySelector('video').play());
  }
  await frame();
  const first = performance.now() - started;
  const video = document.querySelector('video');
  video.muted = true;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  // To a place that nobody has asked for yet.
  const target = video.duration * 0.75 + 0.5;
  const sought = performance.now();
  const shown = new Promise((resolve) => {
    const next = (_, { mediaTime }) => {
      if (Math.abs(mediaTime - target) < 3) resolve();
      else video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  });
  video.currentTime = target;
  await shown;
  return { first, seek: performance.now() - sought };
}

const results = { page: [], 'hls.js': [] };
for (let run = 0; run < Number(runs); run += 1) {
  for (const kind of ['hls.js', 'page']) {
    const browser = await browse('chromium');
    try {
      const page = await browser.newPage();
      if (kind === 'page') {
        const name = encoded.slice(encoded.lastIndexOf('/') + 1);
        await page.goto(`${node}/#/${cid}`);
        // The archive is open, its folder unfolded, and the player there, as when a person looks at it.
        await page.waitForSelector('.poster');
        await page.waitForSelector('.row .text');
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await page.focus('.tools input');
        await page.keyboard.type(name);
        await page.waitForFunction((name) => [...document.querySelectorAll('.row')].some((row) => row.textContent.includes(name)), {}, name);
        results[kind].push(await page.evaluate(measure, kind, name, 2));
      } else {
        await page.goto(plain);
        results[kind].push(await page.evaluate(measure, kind, loose, 2));
      }
    } finally {
      await browser.close();
    }
  }
}
// All segments of the first rendition in order, as a player asks for them.
const browser = await browse('chromium');
try {
  const page = await browser.newPage();
  await page.goto(`${node}/`);
  const [wanted, fetched] = await page.evaluate(async (cid, path) => {
    const { Archive } = await import('/web/lib/index.js');
    const archive = await Archive.open(cid, [window.location.origin]);
    const lines = async (path) => new TextDecoder().decode(await archive.bytes(archive.tree.find(path), 1e6))
      .split('\n').map((line) => line.trim().split('?')[0]).filter((line) => line && !line.startsWith('#'));
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const [playlist] = await lines(path);
    let wanted = 0;
    for (const segment of await lines(folder + playlist)) {
      const { size, read } = await archive.content(archive.tree.find(folder + segment));
      for await (const part of read(0, size)) wanted += part.length;
    }
    return [wanted, archive.blob.gateways.shares()[0].bytes];
  }, cid, path);
  console.log(`bytes: ${fetched} fetched for ${wanted} of segments, ratio ${(fetched / wanted).toFixed(3)}, index and proof included`);
} finally {
  await browser.close();
}
server.close();

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
for (const what of ['first', 'seek']) {
  const of = (kind) => median(results[kind].map((one) => one[what]));
  const [page, other] = [of('page'), of('hls.js')];
  console.log(`${what === 'first' ? 'click to first frame' : 'seek'}: page ${page.toFixed(0)} ms, hls.js ${other.toFixed(0)} ms, ratio ${(page / other).toFixed(2)}`);
}
process.exit(0);
