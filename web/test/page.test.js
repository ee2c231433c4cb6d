import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, clock, count, dateTime } from '../page/dom.js';
import { parseRoute, routeHash, typedGateway, typedRoute } from '../page/route.js';
import { highlights } from '../lib/playlists.js';
import { Tree } from '../lib/tree.js';
import { Index, findDirectory } from '../lib/zip-index.js';
import { eocd, record } from './zips.js';

test('addresses are read as they are written', () => {
  for (const route of [
    { location: '', path: '', gateways: [] },
    { location: 'bafy', path: '', gateways: [] },
    { location: 'bafy', path: 'a b/c?d#e/100%/ü', gateways: [] },
    { location: 'bafy', path: 'x', gateways: ['https://a.example/?x=1&y', 'http://b:8080'] },
    { location: 'https://host/a.zip?x=/1', path: 'a/b', gateways: [] },
  ]) assert.deepEqual(parseRoute(routeHash(route)), route);
  assert.deepEqual(parseRoute('#/https://host/a.zip?x=1'), { location: 'https://host/a.zip?x=1', path: '', gateways: [] });
  assert.equal(parseRoute('#/bafy/100%').path, '100%');
});

test('what people type or paste', () => {
  assert.deepEqual(typedRoute(' bafy '), { location: 'bafy', path: '', gateways: [] });
  assert.deepEqual(typedRoute('ipfs://bafy/x'), { location: 'bafy', path: '', gateways: [] });
  assert.deepEqual(typedRoute('https://gw.example/ipfs/bafy/a.zip'), { location: 'bafy', path: '', gateways: ['https://gw.example'] });
  assert.deepEqual(typedRoute('https://host/a.zip').location, 'https://host/a.zip');
  assert.equal(typedGateway(''), '');
  assert.equal(typedGateway('gw.example'), 'https://gw.example');
  assert.equal(typedGateway('127.0.0.1:8080/'), 'http://127.0.0.1:8080');
  assert.equal(typedGateway('https://gw.example/ipfs/'), 'https://gw.example');
  assert.equal(typedGateway('https://x/{cid}'), 'https://x/{cid}');
  assert.throws(() => typedGateway('https://'));
});

test('numbers for people', () => {
  assert.deepEqual([0, 999, 1000, 9949, 999_499, 999_500, 1.1e12].map(bytes), ['0 B', '999 B', '1.0 kB', '9.9 kB', '999 kB', '1.0 MB', '1.1 TB']);
  assert.deepEqual([0, 61, 3600, NaN].map(clock), ['0:00', '1:01', '1:00:00', '-:--']);
  assert.deepEqual([count(1, 'entry', 'entries'), count(1234, 'file')], ['1 entry', '1,234 files']);
  assert.equal(dateTime(NaN), '');
});

test('the film of an archive is its master playlist, and its cover a picture that says so', () => {
  const found = (...names) => {
    const directory = names.flatMap((name) => record({ name, size: 9 }));
    const bytes = Uint8Array.from([...directory, ...eocd({ entries: names.length, size: directory.length, offset: 0 })]);
    const place = findDirectory(bytes, bytes.length);
    const tree = new Tree(new Index(bytes.subarray(place.start, place.end), place));
    return Object.fromEntries(Object.entries(highlights(tree)).map(([key, node]) => [key, node && tree.path(node)]));
  };
  assert.deepEqual(found('720p_playlist.m3u8', 'master_playlist.m3u8', 'manifest.mpd', 'a/cover.jpg', 'poster.png', 'thumbs/t.vtt', 'subs/en.vtt'), {
    playlist: 'master_playlist.m3u8', video: null, cover: 'poster.png', thumbnails: 'thumbs/t.vtt',
  });
  assert.equal(found('v/manifest.mpd', 'iframes.m3u8').playlist, 'v/manifest.mpd');
  assert.deepEqual(found('init.m4s', 'x.txt'), { playlist: null, video: null, cover: null, thumbnails: null });
  assert.equal(found('a.mp4', 'b/c.webm').video, 'a.mp4');
});
