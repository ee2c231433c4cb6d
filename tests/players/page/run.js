// Plays each case that the test asks for, in a video element of its own, and posts what came of it.

import { players } from './players.js';
import { check } from './check.js';

// As many at once: most of a case is waiting, for the end of what plays.
const AT_ONCE = 4;
// A case takes some three seconds on an idle machine.
const LONGEST_MS = 15_000;

const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });

async function play(test) {
  const video = document.createElement('video');
  document.body.append(video);
  const started = performance.now();
  let stop = () => {};
  let said = '';
  try {
    await new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(why));
      const steps = [];
      setTimeout(() => fail(`not done after ${LONGEST_MS} ms; reached: ${steps.join(', ')}`), LONGEST_MS);
      video.addEventListener('error', () => fail(`the video element: ${video.error?.message}`));
      const player = players[test.player](video, test, fail);
      stop = player.stop;
      check(video, test, player, (step) => steps.push(step)).then(resolve, reject);
    });
  } catch (error) {
    said = `${error.message} [${state(video)}]`;
  }
  const took = Math.round(performance.now() - started);
  try {
    await stop();
  } catch (error) {
    said ||= `stopping: ${error.message}`;
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

const cases = await (await fetch('/cases')).json();
const next = async () => {
  for (let test = cases.shift(); test; test = cases.shift()) {
    await play(test);
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, next));
