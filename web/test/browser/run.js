// The page in a real browser.
//
// Usage: AIOZFS=<binary> node run.js <chromium|firefox> <folder of packages> <folder for screenshots>
// Prints a line for each check, and fails if one does. `ONLY=<pattern>` runs those whose name matches.
// `PAGE=<module>` serves a page that is worked on: its `before(base)` gives the address of a server before
// the node.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { make } from './archives.js';
import { checks, expect } from './checks/list.js';
import { Served, Visit, browse } from './harness.js';
// The order of the checks: a lone forger comes before any film plays, because browsers keep proven bytes of it.
import './checks/tree.js';
import './checks/proof.js';
import './checks/player.js';
import './checks/wide.js';

const [, , browserName, packages, shots] = process.argv;

const folder = mkdtempSync(join(tmpdir(), 'aiozfs-page-'));
mkdirSync(shots, { recursive: true });
const world = { folder, shots, browserName, isChromium: browserName === 'chromium' };
const failed = [];
try {
  world.files = make(packages, join(folder, 'archives'));
  world.node = await Served.start(Object.values(world.files));
  // A page that is worked on, in place of the one in the binary.
  world.node.base = process.env.PAGE ? await (await import(process.env.PAGE)).before(world.node.base) : world.node.base;
  world.cid = (archive) => world.node.cids[`${archive}.zip`];
  world.browser = await browse(browserName);
  world.visit = await Visit.start(world.browser);
  for (const [name, run] of checks) {
    if (process.env.ONLY && !new RegExp(process.env.ONLY).test(name)) continue;
    const started = Date.now();
    try {
      await run(world);
      const complaints = world.visit.complaints.splice(0);
      expect(`the browser complains: ${complaints.join('; ')}`, complaints.length === 0);
      console.log(`ok ${Date.now() - started} ms: ${name}`);
    } catch (error) {
      failed.push(name);
      console.log(`not ok ${Date.now() - started} ms: ${name}\n  ${error.message}`);
      const shown = await world.visit.evaluate(() => `${window.location}: ${document.body.innerText.slice(0, 600)}`).catch(String);
      console.log(`  the page shows ${shown.replaceAll('\n', ' | ')}`);
      await world.visit.shot(join(shots, `${browserName}-failed-${failed.length}.png`)).catch(() => {});
    }
  }
} finally {
  await world.browser?.close();
  world.node?.stop();
  rmSync(folder, { recursive: true, force: true });
}
if (failed.length > 0) {
  console.log(`${failed.length} failed in ${browserName}`);
  process.exit(1);
}
process.exit(0);
