// Plays each case that the test asks for, in a video element of its own, and posts what came of it.

import { players } from './players.js';
import { check } from './check.js';

// As many at once: most of a case is waiting, for the end of what plays.
const AT_ONCE = 4;
// A case takes some three seconds on an idle machine.
const LONGEST_MS = 15_000;
const STOP_MS = 3_000;

const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });

async function play(test) {
  const video = document.createElement('video');
  document.body.append(video);
  const started = performance.now();
  let player;
  let said = '';
  try {
    const steps = [];
    const failed = new Promise((_, reject) => {
      const fail = (why) => reject(new Error(why));
      video.addEventListener('error', () => fail(`the video element: ${video.error?.message}`));
      player = players[test.player](video, test, fail);
    });
    const checked = check(video, test, player, (step) => steps.push(step));
    const why = () => `not done after ${LONGEST_MS} ms; reached: ${steps.join(', ')}`;
    await Promise.race([checked, failed, late(LONGEST_MS, why)]);
  } catch (error) {
    said = `${error.message} [${state(video)}]`;
  }
  const took = Math.round(performance.now() - started);
  try {
    await Promise.race([player?.stop(), late(STOP_MS, () => `it does not stop within ${STOP_MS} ms`)]);
  } catch (error) {
    said ||= error.message;
  }
  video.remove();
  await report({ name: test.name, failure: said, took });
}

function state(video) {
  const buffered = [...Array(video.buffered.length).keys()]
    .map((at) => `${video.buffered.start(at).toFixed(2)}-${video.buffered.end(at).toFixed(2)}`);
  return `at ${video.currentTime.toFixed(2)} of ${video.duration}, buffered ${buffered.join(' ') || 'nothing'}, `
    + `readyState ${video.readyState}, ${video.paused ? 'paused' : 'playing'}`;
}

/** Fails after a while. */
function late(ms, why) {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(why())), ms);
  });
}

async function playAll() {
  for (;;) {
    const test = await (await fetch('/next', { method: 'POST' })).json();
    if (!test) return;
    await play(test);
  }
}
for (let lane = 0; lane < AT_ONCE; lane += 1) playAll();
