import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, blobOf, gateway, noise, tree } from './blobs.js';
import { node } from './nodes.js';
import { Blob } from '../lib/blob.js';

const SIZE = 41_777;
const LAYOUTS = [
  {},
  { leaf: 3000, width: 3 },
  { rawLeaves: false, version: 0 },
  { rawLeaves: false, version: 0, leaf: 2048, width: 3 },
  // The last nodes are not on the level of the others.
  { rawLeaves: false, pad: false, width: 3 },
  { leaf: 1 << 20 },
];

async function served(t, bytes, layout, ...behaviours) {
  const blob = blobOf(bytes);
  const { cid, blocks } = await tree(blob, layout);
  const gateways = await Promise.all(behaviours.map((behaviour) => gateway(blob, blocks, behaviour)));
  t.after(() => gateways.forEach((one) => one.close()));
  return { cid, gateways, open: () => Blob.open(cid, gateways.map(({ base }) => base)) };
}

test('every layout of trees is read and verified', async (t) => {
  const bytes = noise(SIZE);
  for (const layout of LAYOUTS) {
    const { open, gateways } = await served(t, bytes, layout, {});
    const blob = await open();
    assert.equal(blob.isProven, true);
    assert.equal(blob.size, SIZE);
    for (const [start, end] of [[0, 1], [SIZE - 1, SIZE], [1000, 1100], [2047, 9001], [5, 5], [0, SIZE]]) {
      assert.deepEqual(await all(blob.read(start, end)), Buffer.from(bytes.subarray(start, end)), JSON.stringify(layout));
    }
    const [{ proven, problem }] = blob.gateways.shares();
    assert.equal(problem, '', JSON.stringify(layout));
    assert.ok(proven >= SIZE);
    // Nothing is asked twice.
    const sum = gateways[0].seen.ranges.reduce((sum, [start, end]) => sum + end - start, 0);
    assert.ok(sum <= SIZE, `${sum} bytes for ${SIZE}`);
  }
});

test('forged bytes of one gateway are refused and come from another', async (t) => {
  const bytes = noise(SIZE);
  const flip = 20_000;
  let named = 0;
  for (const layout of LAYOUTS) {
    const { open, gateways } = await served(t, bytes, layout, { flip }, {});
    const blob = await open();
    assert.deepEqual(await all(blob.read(0, SIZE)), Buffer.from(bytes));
    const forger = blob.gateways.shares().find(({ name }) => name === gateways[0].host);
    // The other gateway may be asked for these bytes, if it is faster.
    const isAsked = gateways[0].seen.ranges.some(([start, end]) => start <= flip && flip < end);
    if (layout.leaf !== 1 << 20 && isAsked) {
      assert.match(forger.problem, /forged bytes/);
      named += 1;
    }
  }
  assert.ok(named > 0, 'the forger was never asked');
});

test('a gateway that forges alone gives nothing, and is named', async (t) => {
  const { open, gateways } = await served(t, noise(SIZE), {}, { flip: 20_000 });
  const blob = await open();
  const started = Date.now();
  gateways[0].behaviour.flipBlocks = true;
  // A leaf that was verified before it is there still; one that is wrong never comes.
  await assert.rejects(all(blob.read(19_999, 20_001)), (error) => {
    assert.equal(error.name, 'UnavailableError');
    assert.equal(error.isForged, true);
    assert.ok(error.message.includes(gateways[0].host), error.message);
    return true;
  });
  assert.ok(Date.now() - started < 2000);
});

test('a leaf that no range gives comes as a raw block', async (t) => {
  const bytes = noise(SIZE);
  for (const behaviour of [{ flip: 20_000 }, { noRanges: 501 }, { wholeFile: true }]) {
    const { open } = await served(t, bytes, {}, behaviour);
    const blob = await open();
    assert.deepEqual(await all(blob.read(19_000, 24_000)), Buffer.from(bytes.subarray(19_000, 24_000)));
  }
});

test('forged blocks are an error, not a reason to do without', async (t) => {
  const { open } = await served(t, noise(SIZE), {}, { flipBlocks: true });
  await assert.rejects(open(), /forged bytes/);
});

test('without raw blocks nothing is proven, and it says so', async (t) => {
  const bytes = noise(SIZE);
  const { open } = await served(t, bytes, {}, { noBlocks: 406 });
  const blob = await open();
  assert.equal(blob.isProven, false);
  assert.match(blob.unprovenBecause, /406/);
  assert.deepEqual(await all(blob.read(0, SIZE)), Buffer.from(bytes));
});

test('another range than asked for, a cut answer, and a break are asked again elsewhere', async (t) => {
  const bytes = noise(SIZE);
  for (const behaviour of [{ otherRange: true }, { cut: 1500 }, { down: true }]) {
    const { open } = await served(t, bytes, { leaf: 4096 }, {}, {});
    const blob = await open();
    // From now on; the tree was read while it was well.
    const first = blob.gateways.shares()[0].name;
    const { open: again, gateways } = await served(t, bytes, { leaf: 4096 }, behaviour, {});
    assert.ok(first);
    const other = await again();
    assert.deepEqual(await all(other.read(0, SIZE)), Buffer.from(bytes), JSON.stringify(behaviour));
    assert.ok(gateways[1].seen.ranges.length > 0);
  }
});

test('a gateway that was down is asked again when it is back', async (t) => {
  const bytes = noise(SIZE);
  const { open, gateways } = await served(t, bytes, {}, {});
  const blob = await open();
  gateways[0].behaviour.down = true;
  setTimeout(() => {
    gateways[0].behaviour.down = false;
  }, 1000);
  assert.deepEqual(await all(blob.read(0, SIZE)), Buffer.from(bytes));
});

test('two readers share a request, and one that leaves does not end the other', async (t) => {
  const bytes = noise(SIZE);
  const { open, gateways } = await served(t, bytes, { leaf: 8192 }, {});
  const blob = await open();
  const control = new AbortController();
  const left = all(blob.read(0, SIZE, control.signal)).catch((error) => error);
  const stays = all(blob.read(0, SIZE));
  await new Promise((resolve) => setTimeout(resolve, 5));
  control.abort();
  assert.deepEqual(await stays, Buffer.from(bytes));
  await left;
  assert.ok(gateways[0].seen.ranges.length <= 2);
});

test('a request that is dropped for a moment and wanted again is sent once', async (t) => {
  const bytes = noise(SIZE);
  const { open, gateways } = await served(t, bytes, {}, {});
  const blob = await open();
  gateways[0].behaviour.delay = 600;
  const control = new AbortController();
  const dropped = all(blob.read(0, 100, control.signal)).catch((error) => error);
  await new Promise((resolve) => setTimeout(resolve, 20));
  control.abort();
  assert.deepEqual(await all(blob.read(50, 100)), Buffer.from(bytes.subarray(50, 100)));
  assert.equal(gateways[0].seen.ranges.length, 1);
  assert.equal((await dropped).name, 'AbortError');
});

test('a tebibyte of zeroes is verified at its end, by a handful of blocks', async (t) => {
  // Leaves of 1 MiB, 1,024 children a node.
  const MIB = 1 << 20;
  const size = 2 ** 40 - 5;
  const zeroes = new Uint8Array(MIB);
  const read = (start, end) => {
    const bytes = end - start === MIB ? zeroes : new Uint8Array(end - start);
    if (end !== size) return bytes;
    const last = bytes.slice();
    last.set([1, 2, 3], last.length - 3);
    return last;
  };
  const { cid, blocks } = await sparse(size, read);
  const one = await gateway({ size, read }, blocks);
  t.after(() => one.close());
  const blob = await Blob.open(cid, [one.base]);
  assert.equal(blob.size, size);
  assert.deepEqual([...(await all(blob.read(size - 4, size)))], [0, 1, 2, 3]);
  assert.deepEqual([...(await all(blob.read(2 ** 39 - 2, 2 ** 39 + 2)))], [0, 0, 0, 0]);
  assert.ok(one.seen.blocks <= 6, `${one.seen.blocks}`);
});

/** A tree of three levels; all but the last of its leaves and nodes are one. */
async function sparse(size, read) {
  const [MIB, GIB] = [1 << 20, 2 ** 30];
  const leaf = async (bytes) => (await tree(blobOf(bytes), { leaf: MIB })).cid;
  const rest = size - 1023 * GIB;
  const children = new Array(1024).fill({ cid: await leaf(new Uint8Array(MIB)), size: MIB });
  const gib = await node(children);
  const last = await node([...children.slice(1), { cid: await leaf(read(size - rest % MIB, size)), size: rest % MIB }]);
  const root = await node([...new Array(1023).fill({ cid: gib.cid, size: GIB }), { cid: last.cid, size: rest }]);
  return { cid: root.cid, blocks: new Map([gib, last, root].map(({ cid, block }) => [cid, block])) };
}
