// The player: films, sound, subtitles, pictures on the seek bar.

import { relay, until } from '../harness.js';
import { check, expect, hash } from './list.js';

check('a file of video plays, seeks, and its bytes are proven', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed', 'film.mp4'));
  await visit.plays();
  await visit.seeks(0.5);
  const [source, said] = await visit.evaluate(() => [document.querySelector('video').currentSrc, document.querySelector('.said').textContent]);
  expect(source, source.includes('/view/'));
  expect(said, /fetched .* verified/.test(said));
  expect('no complaint', (await visit.alert()) === '');
  // From WebVTT.
  await thumbnail(visit);
});

check('an image playlist gives the pictures on the seek bar', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'imaged', 'master.m3u8'));
  await visit.plays(0.2);
  await thumbnail(visit);
});

check('tiles of a DASH manifest give the pictures on the seek bar', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'tiled', 'manifest.mpd'));
  await visit.plays(0.2);
  await thumbnail(visit);
});

/** Points at the middle of the seek bar, until there is a picture. */
const thumbnail = (visit) => visit.until('a thumbnail', () => {
  const seek = document.querySelector('.seek');
  const { left, top, width } = seek.getBoundingClientRect();
  seek.dispatchEvent(new PointerEvent('pointermove', { clientX: left + width / 2, clientY: top + 5 }));
  return document.querySelector('.preview canvas')?.height === 90;
});

for (const [archive, playlist] of [
  ['ffmpeg-hls-ts', 'master.m3u8'],
  ['ffmpeg-hls-fmp4', 'master.m3u8'],
  ['ffmpeg-hls-aes-128', 'master.m3u8'],
  ['shaka-byte-ranges', 'master.m3u8'],
  ['ffmpeg-dash-timeline', 'manifest.mpd'],
  ['shaka-fmp4', 'manifest.mpd'],
  ['foreign', 'film/master.m3u8'],
]) {
  check(`${archive}/${playlist} plays, seeks and ends, proven`, async (world) => {
    const { visit } = world;
    await visit.go(world.node.base, hash(world, archive, playlist));
    await visit.plays();
    await visit.seeks(0.5);
    await visit.ends();
    expect('no complaint', (await visit.alert()) === '');
    expect('proven', await visit.evaluate(() => document.querySelector('.badge').textContent === 'Verified'));
  });
}

check('qualities, subtitles and speed can be chosen', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'shaka-fmp4', 'master.m3u8'));
  await visit.plays(0.2);
  await visit.evaluate(() => {
    document.querySelector('video').loop = true;
    document.querySelector('.icon-settings').parentElement.click();
  });
  const labels = await visit.until('the menu', () => {
    const labels = [...document.querySelectorAll('.menu label > span')].map((one) => one.textContent);
    return labels.includes('Quality') && labels.includes('Subtitles') && labels;
  });
  expect(`${labels}`, labels.includes('Speed'));
  const choose = (label, option) => visit.evaluate((label, option) => {
    const select = document.getElementById(`choice-${label}`);
    select.selectedIndex = [...select.options].findIndex((one) => one.text.startsWith(option));
    select.dispatchEvent(new Event('change'));
  }, label, option);
  await choose('Quality', '54p');
  await visit.until('the small picture', () => document.querySelector('video').videoHeight === 54);
  await choose('Quality', '90p');
  await visit.until('the large picture', () => document.querySelector('video').videoHeight === 90);
  await choose('Subtitles', 'English');
  await visit.until('a line of text', () => [...document.querySelector('video').textTracks].some((track) => (
    track.mode === 'showing' && [...(track.cues ?? [])].some((cue) => cue.text.includes('The line of second'))
  )));
  await choose('Speed', '2');
  expect('speed', await visit.evaluate(() => document.querySelector('video').playbackRate === 2));
});

check('the language of the sound can be chosen', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'spoken', 'master.m3u8'));
  await visit.plays(0.2);
  await visit.evaluate(() => document.querySelector('.icon-settings').parentElement.click());
  const options = await visit.until('two languages', () => {
    const options = [...document.getElementById('choice-Sound')?.options ?? []].map((option) => option.text);
    return options.length === 2 && options;
  });
  const fetched = (language) => visit.evaluate((language) => (
    performance.getEntriesByType('resource').some(({ name }) => new RegExp(`${language}\\d+\\.ts`).test(name))
  ), language);
  expect(`only one language is fetched: ${options}`, (await fetched('english')) && !(await fetched('german')));
  await visit.evaluate(() => {
    const select = document.getElementById('choice-Sound');
    select.selectedIndex = select.selectedIndex === 0 ? 1 : 0;
    select.dispatchEvent(new Event('change'));
  });
  await until('the other language is fetched', () => fetched('german'));
  await visit.seeks(0.6);
  expect('no complaint', (await visit.alert()) === '');
});

check('picture in picture, where the browser has it', async (world) => {
  const { visit } = world;
  await visit.go(world.node.base, hash(world, 'mixed', 'film.mp4'));
  await visit.plays();
  const hasIt = await visit.evaluate(() => document.pictureInPictureEnabled === true);
  const hasButton = () => visit.evaluate(() => document.querySelector('.icon-pip') !== null);
  expect('a button only where it does something', (await hasButton()) === hasIt);
  // Only some versions of Firefox have it.
  if (!world.isChromium) return;
  expect('Chromium has it', hasIt);
  const button = await visit.page.evaluateHandle(() => document.querySelector('.icon-pip').parentElement);
  await visit.page.hover('.film');
  await button.click();
  await visit.until('the small window', () => document.pictureInPictureElement === document.querySelector('video'));
  await visit.page.hover('.film');
  await button.click();
  await visit.until('it is closed', () => document.pictureInPictureElement === null);
});

check('without the bundled player HLS plays natively and unproven, or says what does', async (world) => {
  const { visit } = world;
  const own = await relay(world.node.base, 'no-player');
  try {
    await visit.go(own.base, hash(world, 'ffmpeg-hls-ts', 'master.m3u8'));
    if (world.isChromium) {
      await visit.plays();
      expect('it says so', await visit.evaluate(() => document.querySelector('.player .notice').textContent.startsWith('Not proven')));
    } else {
      await visit.until('the address', () => document.querySelector('.explain code')?.textContent.includes('/master.m3u8?range='));
    }
    await visit.go(own.base, hash(world, 'ffmpeg-dash-timeline', 'manifest.mpd'));
    await visit.until('the address', () => document.querySelector('.explain code')?.textContent.includes('/manifest.mpd?range='));
    await visit.go(own.base, hash(world, 'mixed', 'film.mp4'));
    await visit.plays();
    visit.complaints.length = 0;
  } finally {
    own.close();
  }
});
