// What is proven, what is not, and gateways that forge, fall silent or refuse.

import { Served, Visit, insecure, relay, until } from '../harness.js';
import { check, expect, hash } from './list.js';

// Before any other check plays the film: browsers keep verified bytes of it.
check('a gateway that forges alone: nothing is shown, and the message names it', async (world) => {
  const { visit } = world;
  const forger = await relay(world.node.base);
  try {
    await visit.go(world.node.base, hash(world, 'mixed', '', [forger.base]));
    await visit.rows();
    forger.state.mode = 'flip';
    await visit.evaluate(() => [...document.querySelectorAll('.row .text')].find((row) => row.textContent === 'film.mp4').click());
    const said = await until('a complaint', () => visit.alert());
    expect(said, said.includes('Forged bytes were refused') && said.includes(forger.host));
    expect('nothing is shown', await visit.evaluate(() => !(document.querySelector('video')?.videoWidth > 0)));
    // From the start nothing opens at all.
    await visit.go(world.node.base, hash(world, 'foreign', '', [forger.base]));
    const other = await until('a complaint', () => visit.alert());
    expect(other, other.includes('forged') && other.includes(forger.host));
    expect('no tree', await visit.evaluate(() => !document.querySelector('.row')));
  } finally {
    forger.close();
  }
});

check('of two gateways one forges: the right bytes are shown, and the forger is named', async (world) => {
  const { visit } = world;
  const forger = await relay(world.node.base, 'flip');
  try {
    await visit.go(world.node.base, hash(world, 'mixed', 'cover.jpg', [forger.base, world.node.base]));
    await visit.until('the picture', () => document.querySelector('.stage img')?.naturalWidth === 640);
    await visit.until('the forger is named', (host) => [...document.querySelectorAll('.shares li')].some((share) => (
      share.textContent.includes(host) && share.textContent.includes('forged')
    )), forger.host);
    expect('no complaint', (await visit.alert()) === '');
  } finally {
    forger.close();
  }
});

check('without raw blocks it plays, and says that nothing is proven', async (world) => {
  const { visit } = world;
  const plain = await relay(world.node.base, 'no-blocks');
  try {
    await visit.go(world.node.base, hash(world, 'mixed', 'film.mp4', [plain.base]));
    await visit.plays();
    const [badge, notice] = await visit.evaluate(() => [document.querySelector('.badge').textContent, document.querySelector('.archive-head .notice').textContent]);
    expect(`${badge} ${notice}`, badge === 'Not proven' && notice.includes('406'));
  } finally {
    plain.close();
  }
});

check('a gateway that goes down and comes back: the film goes on', async (world) => {
  const { visit } = world;
  const shaky = await relay(world.node.base);
  try {
    await visit.go(world.node.base, hash(world, 'foreign', 'film/master.m3u8', [shaky.base]));
    await visit.plays(0.2);
    shaky.state.mode = 'down';
    await visit.evaluate(() => {
      const video = document.querySelector('video');
      video.currentTime = video.duration * 0.8;
    });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    shaky.state.mode = 'plain';
    await visit.until('it goes on', () => {
      const video = document.querySelector('video');
      return video.ended || video.currentTime > video.duration * 0.85;
    });
  } finally {
    shaky.close();
  }
});

check('the node is killed and started again: the film goes on', async (world) => {
  const { visit } = world;
  const first = await Served.start([world.files.foreign]);
  let second;
  try {
    await visit.go(first.base, `#/${first.cids['foreign.zip']}/film/master.m3u8`);
    await visit.plays(0.2);
    first.process.kill('SIGKILL');
    await visit.evaluate(() => {
      const video = document.querySelector('video');
      video.currentTime = video.duration * 0.8;
    });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    second = await Served.start([world.files.foreign], new URL(first.base).host);
    await visit.until('it goes on', () => {
      const video = document.querySelector('video');
      return video.ended || video.currentTime > video.duration * 0.85;
    });
    expect('proven', await visit.evaluate(() => document.querySelector('.badge').textContent === 'Verified'));
  } finally {
    first.stop();
    second?.stop();
  }
});

check('a gateway that gives nothing to other pages is said in words', async (world) => {
  const { visit } = world;
  const closed = await relay(world.node.base, 'no-cors');
  try {
    await visit.go(world.node.base);
    await visit.evaluate((cid, gateway) => {
      document.getElementById('location').value = cid;
      document.getElementById('gateway').value = gateway;
      document.querySelector('#open button').click();
    }, world.cid('foreign'), closed.base);
    const said = await until('a complaint', () => visit.alert());
    expect(said, said.includes(closed.host) && said.includes('does not let this page read'));
  } finally {
    closed.close();
  }
});

check('a URL opens, and says that nothing is proven', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, `#/${world.node.base}/ipfs/${world.cid('mixed')}`);
  expect(`${await visit.rows()}`, (await visit.rows()).includes('film.mp4'));
  expect('not proven', await visit.evaluate(() => document.querySelector('.badge').textContent === 'Not proven'));
});

check('a page that is neither from https nor from localhost works, and says that nothing is proven', async (world) => {
  // Only Chromium can be told where a name leads.
  if (!world.isChromium) return;
  const visit = await Visit.start(world.browser);
  const base = insecure(world.node.base);
  await visit.go(base);
  await visit.until('the notice', () => document.querySelector('#notice').textContent.includes('https'));
  for (const path of ['film.mp4', 'cover.jpg']) {
    await visit.go(base, hash(world, 'mixed', path));
    if (path === 'film.mp4') await visit.plays();
    else await visit.until('the picture', () => document.querySelector('.stage img')?.naturalWidth === 640);
    expect('not proven', await visit.evaluate(() => document.querySelector('.badge').textContent === 'Not proven'));
  }
  for (const [archive, path] of [['ffmpeg-hls-ts', 'master.m3u8'], ['ffmpeg-dash-timeline', 'manifest.mpd']]) {
    await visit.go(base, hash(world, archive, path));
    await visit.plays();
  }
  await visit.close();
});
