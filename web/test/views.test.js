import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestedRange } from '../lib/http-range.js';
import { mediaType, viewOf } from '../lib/media-types.js';
import { imagePlaylist, imageThumbnails, rangeOf, thumbnails } from '../lib/playlists.js';
import { answerView } from '../lib/view-server.js';

test('Range headers', () => {
  const table = [
    [null, 'whole'], ['bytes=0-0', [0, 1]], ['bytes=0-', [0, 10]], ['bytes=2-5', [2, 6]], ['bytes=5-99', [5, 10]],
    ['bytes=-3', [7, 10]], ['bytes=-99', [0, 10]], ['bytes=10-', 'none'], ['bytes=-0', 'none'], ['bytes=5-2', 'whole'],
    ['bytes=-', 'whole'], ['bytes=0-1,4-5', 'whole'], ['items=0-1', 'whole'],
  ];
  for (const [header, expected] of table) {
    const found = requestedRange(header, 10);
    assert.deepEqual(typeof found === 'string' ? found : [found.start, found.end], expected, header);
  }
});

test('range links', () => {
  assert.deepEqual(rangeOf('?range=10,20'), [10, 30]);
  assert.deepEqual(rangeOf('?a=b&range=10%2C20'), [10, 30]);
  for (const query of ['', '?range=1', '?range=-1,2', '?range=9007199254740991,9', '?x=1,2']) assert.equal(rangeOf(query), null, query);
});

test('media types and views', () => {
  assert.equal(mediaType('a/B.M3U8'), 'application/vnd.apple.mpegurl');
  assert.equal(mediaType('a.vtt'), 'text/vtt; charset=utf-8');
  assert.equal(mediaType('a.d/noext'), 'application/octet-stream');
  assert.deepEqual(['a.mpd', 'a.mp4', 'a.ts', 'x.PNG', 'README', 'a.bin', 'a.html'].map(viewOf), ['dash', 'video', 'other', 'image', 'text', 'other', 'text']);
});

test('thumbnails of WebVTT', () => {
  const text = 'WEBVTT\r\n\r\n00:00.000 --> 00:05.000\r\nsprite.jpg#xywh=160,0,160,90\r\n\r\n1\r\n01:00:05.000 --> 01:00:10.500\r\nb.jpg\r\n';
  assert.deepEqual(thumbnails(text, 'http://x/view/c/t/a.vtt'), [
    { start: 0, end: 5, url: 'http://x/view/c/t/sprite.jpg', part: { x: 160, y: 0, width: 160, height: 90 } },
    { start: 3605, end: 3610.5, url: 'http://x/view/c/t/b.jpg', part: null },
  ]);
});

test('thumbnails of image playlists', () => {
  const master = '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,RESOLUTION=320x180,CODECS="jpeg",URI="t/i.m3u8?range=1,2"\n';
  assert.equal(imagePlaylist(master, 'http://x/view/c/m.m3u8'), 'http://x/view/c/t/i.m3u8?range=1,2');
  assert.equal(imagePlaylist('#EXTM3U\n', 'http://x/'), null);
  const list = '#EXTM3U\r\n#EXT-X-IMAGES-ONLY\r\n#EXTINF:10,\r\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=3\r\na.jpg\r\n#EXTINF:5,\r\nb.jpg\r\n';
  const url = 'http://x/t/a.jpg';
  const tile = (start, end, x, y) => ({ start, end, url, part: { x, y, width: 160, height: 90 } });
  assert.deepEqual(imageThumbnails(list, 'http://x/t/i.m3u8'), [
    tile(0, 3, 0, 0), tile(3, 6, 160, 0), tile(6, 9, 0, 90), tile(9, 10, 160, 90),
    { start: 10, end: 15, url: 'http://x/t/b.jpg', part: null },
  ]);
  const hostile = '#EXTINF:1e9,\n#EXT-X-TILES:RESOLUTION=1x1,LAYOUT=99999x99999,DURATION=0.001\na.jpg\n';
  assert.equal(imageThumbnails(hostile, 'http://x/').length, 10_000);
});

const fake = (size, failAt = Infinity) => ({
  tree: { find: (path) => (path === 'a.mp4' ? 1 : null), isDirectory: () => false },
  blob: { isProven: true, size },
  content: async () => ({
    size,
    async* read(start, end) {
      for (let at = start; at < end; at += 100) {
        if (at >= failAt) throw new Error('forged');
        yield new Uint8Array(Math.min(100, end - at)).fill(at / 100);
      }
    },
  }),
});

/** What a service worker gets. */
async function view(archive, request) {
  const { port1, port2 } = new MessageChannel();
  const messages = [];
  const troubles = [];
  let body = [];
  const done = new Promise((resolve) => {
    port1.onmessage = ({ data }) => {
      messages.push(data);
      if (data.type === 'answer' || (data.type === 'bytes' && data.bytes)) {
        if (data.bytes) body.push(...data.bytes);
        port1.postMessage('more');
      } else resolve();
    };
  });
  await answerView(archive, { type: 'view', location: 'c', path: 'a.mp4', query: '', range: null, isHead: false, ...request }, port2, (error) => troubles.push(error));
  await done;
  port1.close();
  const answer = messages[0];
  return { ...answer, body, failed: messages.at(-1).type === 'error', troubles };
}

test('a view is answered whole and in parts', async () => {
  const whole = await view(fake(250), {});
  assert.deepEqual([whole.status, whole.body.length, whole.headers['Content-Length']], [200, 250, '250']);
  assert.match(whole.headers['Content-Security-Policy'], /sandbox/);
  const part = await view(fake(250), { range: 'bytes=50-' });
  assert.deepEqual([part.status, part.body.length, part.headers['Content-Range']], [206, 200, 'bytes 50-249/250']);
  const behind = await view(fake(250), { range: 'bytes=250-' });
  assert.deepEqual([behind.status, behind.headers['Content-Range']], [416, 'bytes */250']);
  assert.equal((await view(fake(250), { path: 'b' })).status, 404);
  const head = await view(fake(250), { isHead: true });
  assert.deepEqual([head.status, head.body.length, head.headers['Content-Length']], [200, 0, '250']);
});

test('a view whose bytes are refused breaks off, and says why', async () => {
  const first = await view(fake(250, 0), {});
  assert.deepEqual([first.status, first.troubles.length], [500, 1]);
  const later = await view(fake(250, 200), {});
  assert.deepEqual([later.status, later.body.length, later.failed, later.troubles.length], [200, 200, true, 1]);
});
