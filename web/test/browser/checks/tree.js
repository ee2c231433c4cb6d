// The start page, the tree of an archive, and files that are not played.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOSTILE } from '../archives.js';
import { aiozfs, until } from '../harness.js';
import { check, expect, hash } from './list.js';

check('the start page lists what the node serves, with a cover, and copies a CID', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base);
  const names = await visit.until('the list', () => {
    const names = [...document.querySelectorAll('.card .title')].map((title) => title.textContent);
    return names.length > 7 && names;
  });
  expect(`archives are listed: ${names}`, names.includes('mixed.zip') && names.includes('foreign.zip'));
  await visit.until('a cover', () => {
    const card = [...document.querySelectorAll('.card')].find((one) => one.textContent.includes('mixed.zip'));
    card.scrollIntoView();
    return card.querySelector('.cover img')?.naturalWidth === 640;
  });
  await visit.evaluate(() => document.querySelector('.card .cid button').click());
  await visit.until('it says that the CID is copied', () => document.querySelector('.card .cid button').getAttribute('aria-label') === 'Copied');
});

check('a click opens an archive; the tree equals ls', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base);
  await visit.until('the card', () => {
    const title = [...document.querySelectorAll('.card .title')].find((one) => one.textContent === 'mixed.zip');
    title?.click();
    return title !== undefined;
  });
  const rows = await visit.rows();
  expect(`top level: ${rows}`, ['many', 'names', 'notes', 'cover.jpg', 'film.mp4'].every((name) => rows.includes(name)));
  for (const archive of ['mixed', 'foreign', 'shaka-fmp4']) {
    const found = await visit.evaluate(async (cid) => {
      const { Archive } = await import('/web/lib/index.js');
      const { tree } = await Archive.open(cid, [window.location.origin]);
      return [...tree.nodes()].map((node) => {
        const entry = tree.entry(node);
        return [tree.path(node), entry?.kind ?? 'dir', tree.isDirectory(node) ? 0 : entry.size, entry ? new Date(entry.mtime).toISOString().slice(0, 19) : ''];
      });
    }, world.cid(archive));
    const listed = JSON.parse(aiozfs('ls', '-R', '--json', world.files[archive]));
    const wanted = listed.map(({ path, kind, size, mtime }) => [path, kind, kind === 'dir' ? 0 : size, mtime.slice(0, 19)]);
    // Playlists are shown playable by the mount, so without the lengths of range links.
    const plain = (rows) => rows.map(([path, kind, size, time]) => (
      JSON.stringify([path, kind, /\.(m3u8|mpd)$/.test(path) ? 0 : size, kind === 'dir' && !listed.find((one) => one.path === path)?.header_offset ? '' : time])
    )).sort();
    const [a, b] = [plain(found), plain(wanted)];
    expect(`${archive}: ${a.filter((one) => !b.includes(one))} instead of ${b.filter((one) => !a.includes(one))}`, a.length > 0 && a.join() === b.join());
  }
});

check('pictures and texts are shown, compressed ones too, and what cannot be is said', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed', 'cover.jpg'));
  await visit.until('the picture', () => document.querySelector('.stage img')?.naturalWidth === 640);
  const text = (path, wanted) => visit.go(world.node.base, hash(world, 'mixed', path))
    .then(() => visit.until(path, (wanted) => document.querySelector('.stage')?.textContent.includes(wanted), wanted));
  await text('notes/readme.txt', 'Hello from the archive.');
  await text('notes/packed.txt', 'Packed text. Packed text.');
  await text('notes/by bzip2.txt', 'compressed by bzip2');
  await text('notes/evil.html', '<script>parent.harmed=1');
  expect('a document of an archive runs no script', await visit.evaluate(() => window.harmed === undefined));
  // The same document by its own address has no rights.
  await visit.evaluate((url) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.onload = resolve;
    frame.src = url;
    document.body.append(frame);
  }), `/view/${world.cid('mixed')}/notes/evil.html`);
  expect('nor in a frame', await visit.evaluate(() => window.harmed === undefined));
});

check('hostile names are text', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed', `names/${HOSTILE[0]}`));
  const rows = await visit.until('the names', () => {
    const rows = [...document.querySelectorAll('.row .text')].map((row) => row.textContent);
    return rows.some((row) => row.includes('onerror')) && rows;
  });
  // A slash in a name makes a directory of what is before it.
  for (const name of HOSTILE) expect(`${name} in ${rows}`, rows.includes(name.split('/')[0]));
  expect('the title', await visit.evaluate((name) => document.querySelector('h2')?.textContent === name, HOSTILE[0]));
  expect('no markup', await visit.evaluate(() => window.harmed === undefined && !document.querySelector('.row img, .row script, .row b')));
  expect('the entry that leads out is hidden', await visit.evaluate(() => document.querySelector('.facts').textContent.includes('1 entry hidden')));
});

check('the tree by keyboard, and the filter', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed'));
  await visit.rows();
  const active = () => visit.evaluate(() => document.querySelector('.row.active .text')?.textContent);
  await visit.page.focus('.grid');
  const press = async (...keys) => {
    for (const key of keys) await visit.page.keyboard.press(key);
  };
  expect('the first is marked', (await active()) === 'many');
  await press('ArrowRight');
  await visit.until('many is unfolded', () => document.querySelectorAll('.row[aria-level="2"]').length >= 12);
  await press('ArrowDown', 'ArrowDown');
  expect(`in natural order: ${await active()}`, (await active()) === 'part 2.bin');
  await press('ArrowLeft', 'ArrowLeft');
  expect('folded again', await visit.evaluate(() => !document.querySelector('.row[aria-level="2"]')));
  await press('/');
  await visit.page.keyboard.type('README');
  await visit.until('one match', () => document.querySelector('.status').textContent === '1 match');
  await press('Enter', 'Enter');
  await visit.until('it opens', () => document.querySelector('.stage pre')?.textContent.startsWith('Hello'));
  await visit.page.focus('.tools input');
  await press('Escape');
  expect('the tree is back', (await visit.rows()).includes('film.mp4'));
});

check('what cannot be opened is said in words', async (world) => {
  const { visit } = world;
  for (const [address, wanted] of [
    ['#/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', '404'],
    ['#/nonsense', 'neither a CID nor a URL'],
    [hash(world, 'mixed', 'no/such/file'), "no file 'no/such/file'"],
  ]) {
    await visit.go(world.node.base, address);
    const said = await until('a complaint', () => visit.alert());
    expect(`${address}: ${said}`, said.includes(wanted));
  }
});

check('a file is saved under its name', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed', 'notes/packed.txt'));
  await visit.until('the text', () => document.querySelector('.stage pre') !== null);
  const save = () => visit.evaluate(() => document.querySelector('.icon-save').parentElement.click());
  if (!world.isChromium) {
    // Firefox tells no driver where downloads go; the answer is the same.
    const disposition = await visit.evaluate(async (url) => (await fetch(url)).headers.get('Content-Disposition'), `/view/${world.cid('mixed')}/notes/packed.txt?save`);
    expect(disposition, disposition === "attachment; filename*=UTF-8''packed.txt");
    return;
  }
  const session = await world.browser.target().createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: world.folder });
  await save();
  const saved = join(world.folder, 'packed.txt');
  await until('the file', () => existsSync(saved) && readFileSync(saved, 'utf8') === 'Packed text. '.repeat(1000));
});
