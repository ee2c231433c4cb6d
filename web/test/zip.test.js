import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, blobOf, gateway, noise } from './blobs.js';
import { byPython, eocd, eocd64, local, record, zip64Extra } from './zips.js';
import { Archive } from '../lib/archive.js';
import { Tree, natural } from '../lib/tree.js';
import { Index, findDirectory } from '../lib/zip-index.js';

function treeOf(bytes) {
  const directory = findDirectory(bytes, bytes.length);
  return new Tree(new Index(bytes.subarray(directory.start, directory.end), directory));
}

const paths = (tree) => [...tree.nodes()].map((node) => tree.path(node)).sort();

/** An archive of records alone. */
function archive(records) {
  const directory = records.flat();
  return Uint8Array.from([...directory, ...eocd({ entries: records.length, size: directory.length, offset: 0 })]);
}

async function opened(t, bytes, read) {
  const one = await gateway(read ?? blobOf(bytes), new Map());
  t.after(() => one.close());
  return Archive.open(`${one.base}/a.zip`);
}

test('an archive by Python: names, sizes, times, stored and compressed bytes, links', async (t) => {
  const bytes = byPython(`
with zipfile.ZipFile(path, 'w') as z:
    z.writestr(zipfile.ZipInfo('a/b/stored.txt', (2021, 12, 22, 10, 20, 30)), 'hello')
    z.writestr('a/packed.txt', 'x' * 100000, zipfile.ZIP_DEFLATED)
    z.writestr('字幕.vtt', 'WEBVTT')
    z.writestr('empty', '')
    link = zipfile.ZipInfo('a/link'); link.create_system = 3; link.external_attr = 0o120777 << 16
    z.writestr(link, 'b/stored.txt')
    z.writestr('a/bz', 'x' * 1000, zipfile.ZIP_BZIP2)
`);
  const archive = await opened(t, bytes);
  const { tree } = archive;
  assert.deepEqual(paths(tree), ['a', 'a/b', 'a/b/stored.txt', 'a/bz', 'a/link', 'a/packed.txt', 'empty', '字幕.vtt'].sort());
  const text = async (path) => Buffer.from(await archive.bytes(tree.find(path), 1e6)).toString();
  assert.equal(await text('a/b/stored.txt'), 'hello');
  assert.equal(await text('a/link'), 'hello');
  assert.equal(await text('a/packed.txt'), 'x'.repeat(100_000));
  assert.equal(await text('empty'), '');
  assert.equal(tree.entry(tree.find('a/b/stored.txt')).mtime, Date.UTC(2021, 11, 22, 10, 20, 30));
  await assert.rejects(text('a/bz'), /bzip2/);
  assert.equal(tree.find('a/none'), null);
  assert.equal(tree.size(tree.find('a')), 5 + 100_000 + 12 + 1000);
});

test('bytes that are not proven are compared with the checksum', async (t) => {
  const bytes = byPython("with zipfile.ZipFile(path, 'w') as z: z.writestr('a', 'hello'); z.writestr('b', 'y' * 999, zipfile.ZIP_DEFLATED)");
  bytes[31] ^= 1;
  const archive = await opened(t, bytes);
  await assert.rejects(archive.bytes(archive.tree.find('a'), 100), /checksum/);
  bytes[bytes.length >> 1] ^= 1;
});

test('names lead nowhere but into the tree', () => {
  const names = ['../evil', 'a/../../b', '/etc/passwd', 'C:\\x', './c//d', 'nul\0', 'dir/', 'dir/f', 'x'.repeat(256), 'dup', 'dup', 'dir'];
  const tree = treeOf(archive(names.map((name) => record({ name, host: name.includes('\\') ? 0 : 3, mode: name.endsWith('/') ? 0o40755 : 0o100644 }))));
  tree.children(0);
  assert.deepEqual(paths(tree), ['c', 'c/d', 'dir', 'dir (1)', 'dir/f', 'dup', 'dup (1)', 'etc', 'etc/passwd', 'x'].sort());
  assert.equal(tree.hidden, 4);
  // The later one keeps the name, as in a mount.
  assert.equal(tree.find('dup'), 11);
  assert.equal(tree.find('dup (1)'), 10);
});

test('names that are not UTF-8 are CP437', () => {
  const tree = treeOf(archive([record({ name: Uint8Array.from([0x81, 0x62]) })]));
  assert.deepEqual(paths(tree), ['üb']);
});

test('prepended bytes, trailing bytes and comments', () => {
  const plain = archive([record({ name: 'a' })]);
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  assert.deepEqual(paths(treeOf(joined(noise(500), plain))), ['a']);
  assert.deepEqual(paths(treeOf(joined(plain, [0, 0, 0]))), ['a']);
  const directory = record({ name: 'b' });
  // The comment looks like an end record, but nothing lies before it.
  const comment = eocd({ entries: 0, size: 70_000, offset: 70_000 });
  const commented = Uint8Array.from([...directory, ...eocd({ entries: 1, size: directory.length, offset: 0, comment })]);
  assert.deepEqual(paths(treeOf(commented)), ['b']);
});

test('what is no archive is said to be none', () => {
  for (const bytes of [new Uint8Array(), noise(10_000), archive([record({ name: 'a' })]).subarray(0, 40)]) {
    assert.throws(() => treeOf(bytes), /not a ZIP archive/);
  }
  const wrong = archive([record({ name: 'a' })]);
  wrong[wrong.length - 22 + 10] = 7;
  assert.throws(() => treeOf(wrong), /damaged/);
});

test('damage anywhere in the directory is an error or a tree, never a hang', () => {
  const good = archive([record({ name: 'a/b' }), record({ name: 'c', extra: zip64Extra(1) })]);
  for (let at = 0; at < good.length; at += 1) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const bad = good.slice();
      bad[at] = value;
      try {
        const tree = treeOf(bad);
        for (const node of tree.nodes()) tree.path(node);
        tree.children(0);
      } catch (error) {
        assert.ok(['ArchiveError', 'RangeError'].includes(error.name), `${at}: ${error.stack}`);
      }
    }
  }
});

test('ZIP64: a file behind 2^32 in an archive of a tebibyte', async (t) => {
  const offset = 2 ** 40 - 10_000;
  const header = local({ name: 'far', size: 5 });
  const directory = record({ name: 'far', size: 5, offset: 0xffffffff, extra: zip64Extra(offset) });
  const start = offset + header.length + 5;
  const end = [...directory, ...eocd64({ entries: 1, size: directory.length, offset: start, at: start + directory.length })];
  const pieces = [[offset, [...header, ...Buffer.from('hello')]], [start, end]];
  const size = start + end.length;
  const read = (from, to) => {
    const bytes = new Uint8Array(to - from);
    for (const [at, piece] of pieces) {
      piece.forEach((byte, index) => {
        if (at + index >= from && at + index < to) bytes[at + index - from] = byte;
      });
    }
    return bytes;
  };
  const archive = await opened(t, null, { size, read });
  const { size: length, read: content } = await archive.content(archive.tree.find('far'));
  assert.equal(length, 5);
  assert.equal((await all(content(0, 5))).toString(), 'hello');
  assert.deepEqual(await archive.extent(archive.tree.find('far')), [offset + header.length, offset + header.length + 5]);
});

test('natural order', () => {
  const names = ['seg_10', 'seg_9', 'seg_1', 'seg_01', 'a', 'seg_', 'seg_9b', 'B'];
  assert.deepEqual(names.sort(natural), ['B', 'a', 'seg_', 'seg_01', 'seg_1', 'seg_9', 'seg_9b', 'seg_10']);
});

test('a million entries in a few seconds', () => {
  const count = 1_000_000;
  const one = record({ name: 'dir0/00000000' });
  const bytes = new Uint8Array(one.length * count);
  for (let at = 0; at < count; at += 1) {
    bytes.set(one, at * one.length);
    const name = `dir${at % 10}/${String(at).padStart(8, '0')}`;
    for (let i = 0; i < name.length; i += 1) bytes[at * one.length + 46 + i] = name.charCodeAt(i);
  }
  const started = Date.now();
  const tree = new Tree(new Index(bytes, { start: 0, end: bytes.length, entries: count, shift: 0 }));
  assert.equal(tree.children(0).length, 10);
  assert.equal(tree.children(tree.find('dir3')).length, count / 10);
  assert.equal(tree.path(tree.find('dir7/00999997')), 'dir7/00999997');
  assert.equal(tree.search('00012345', 10).length, 1);
  console.log(`# ${Date.now() - started} ms, ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
});
