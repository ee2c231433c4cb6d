// The players: each starts to load a URL into a video element and says how to stop. One that
// `showsText` shows the first text track from the start, so that all of its lines are loaded.
// `showKeyFrames` plays or shows some of an I-frame playlist.

import { until } from './check.js';

/* global Hls, dashjs, shaka */

const fromHex = (hex) => btoa(String.fromCharCode(...hex.match(/../g).map((byte) => parseInt(byte, 16))))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

function native(video, test) {
  video.src = test.url;
  return { stop: () => video.removeAttribute('src') };
}

function hlsJs(video, test, fail) {
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, error) => {
    // A buffer that ran dry, or a segment left for one of another rendition: on a busy machine it
    // plays on by itself, and is no fault of what it plays.
    if (!error.fatal && /^buffer|^aborted/.test(error.details)) return;
    fail(`${error.details} ${error.error?.message ?? ''} ${error.url ?? error.frag?.url ?? ''}`);
  });
  video.addEventListener('loadedmetadata', () => {
    if (test.text) hls.subtitleTrack = 0;
  });
  hls.loadSource(test.url);
  hls.attachMedia(video);
  return {
    showsText: true,
    showKeyFrames: async () => {
      const frames = hls.createIFramePlayer();
      frames.on(Hls.Events.ERROR, (_, error) => fail(`key frames: ${error.details}`));
      const picture = document.createElement('video');
      frames.once(Hls.Events.MEDIA_ATTACHED, () => frames.loadMediaAt(5.5));
      frames.attachMedia(picture);
      await until(picture, ['canplay'], () => picture.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA);
      frames.destroy();
    },
    stop: () => hls.destroy(),
  };
}

function dashJs(video, test, fail) {
  const player = dashjs.MediaPlayer().create();
  player.on('error', ({ error }) => fail(`${error.code} ${error.message}`));
  player.initialize();
  player.attachView(video);
  player.setAutoPlay(false);
  if (test.key) {
    const clearkeys = { [fromHex(test.key.id)]: fromHex(test.key.value) };
    player.setProtectionData({ 'org.w3.clearkey': { clearkeys } });
  }
  player.setInitialMediaSettingsFor('text', { lang: 'en' });
  player.attachSource(test.url);
  return {
    showsText: true,
    stop: () => player.destroy(),
  };
}

function shakaPlayer(video, test, fail) {
  const player = new shaka.Player();
  const failed = (error) => fail(`shaka error ${error.code}: ${error.message}`);
  player.addEventListener('error', ({ detail }) => failed(detail));
  if (test.key) {
    player.configure({ drm: { clearKeys: { [test.key.id]: test.key.value } } });
  }
  const start = async () => {
    await player.attach(video);
    await player.load(test.url);
    if (test.text) player.selectTextTrack(player.getTextTracks()[0]);
  };
  start().catch(failed);
  return {
    showsText: true,
    showKeyFrames: async () => {
      const seen = [];
      player.getNetworkingEngine().registerResponseFilter((_, { uri }) => seen.push(uri));
      video.currentTime = 1;
      await video.play();
      player.trickPlay(4);
      const areAsked = () => seen.some((uri) => uri.includes('iframes'));
      // At four times the speed, a busy machine answers only after some seconds of the film.
      await until(video, ['timeupdate'], () => (areAsked() && video.currentTime > 1.5) || video.currentTime > 9);
      if (!areAsked()) fail(`no key frames are asked for, but ${seen}`);
    },
    stop: () => player.destroy(),
  };
}

export const players = { native, 'hls.js': hlsJs, 'dash.js': dashJs, 'shaka-player': shakaPlayer };
