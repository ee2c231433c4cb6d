// The library under Node, with what `aiozfs serve` gives: trees equal `aiozfs ls`, and bytes the files'.
//
// Usage: AIOZFS=<binary> node served.js

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { all, noise } from '../blobs.js';
import { Archive } from '../../lib/index.js';

const AIOZFS = process.env.AIOZFS ?? 'aiozfs';
const env = { ...process.env, XDG_CONFIG_HOME: '/no/such/directory', AIOZFS_CACHE_SIZE: '0' };

const folder = mkdtempSync(join(tmpdir(), 'aiozfs-web-'));
const content = join(folder, 'content');
mkdirSync(join(content, 'video'), { recursive: true });
const files = { 'video/large.bin': noise(5_000_000), 'video/small.ts': noise(70_000, 3), 'a b#ü?.txt': Buffer.from('text'), empty: Buffer.alloc(0) };
for (const [name, bytes] of Object.entries(files)) writeFileSync(join(content, name), bytes);
writeFileSync(join(content, 'video/list.m3u8'), '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsmall.ts\n#EXT-X-ENDLIST\n');
const archive = join(folder, 'packed.zip');
execFileSync(AIOZFS, ['pack', '--no-sync', content, archive], { env });

async function read(profile) {
  const node = spawn(AIOZFS, ['serve', '--listen', '127.0.0.1:0', '--cache-dir', join(folder, profile), '--profile', profile, archive], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const { value: line } = await createInterface({ input: node.stdout })[Symbol.asyncIterator]().next();
    const [cid, , , url] = line.split('\t');
    const opened = await Archive.open(cid, [new URL(url).origin]);
    assert.equal(opened.blob.isProven, true, profile);
    const { tree } = opened;
    const listed = JSON.parse(execFileSync(AIOZFS, ['ls', '-R', '--json', archive], { env, encoding: 'utf8' }));
    assert.deepEqual([...tree.nodes()].map((node) => tree.path(node)).sort(), listed.map(({ path }) => path).sort());
    for (const [name, bytes] of Object.entries(files)) {
      const { size, read } = await opened.content(tree.find(name));
      assert.equal(size, bytes.length);
      assert.ok((await all(read(0, size))).equals(Buffer.from(bytes)), `${profile}: ${name}`);
    }
    const list = tree.find('video/list.m3u8');
    assert.match(Buffer.from(await opened.bytes(list, 1e4)).toString(), /small\.ts\?range=\d+,70000/);
    const [{ bytes, problem }] = opened.blob.gateways.shares();
    assert.equal(problem, '');
    const { length } = readFileSync(archive);
    assert.ok(bytes < length * 1.12, `${profile}: ${bytes} bytes for ${length}`);
    console.log(`ok ${profile}`);
  } finally {
    node.kill('SIGKILL');
  }
}

try {
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-1mib-174']) await read(profile);
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(0);
