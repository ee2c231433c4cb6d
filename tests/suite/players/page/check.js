// What every player has to do with every package.

// Faster, Chromium plays no sound.
const RATE = 4;
// By how much players differ in what they take for the duration: the sum of rounded segments, or the
// longest track, or the manifest's.
const TOLERANCE = 0.3;

export async function check(video, test, player, reached) {
  const wanted = test.duration;
  // Players forget the text of what was played, so it is gathered as it goes.
  const text = new Set();
  const watch = setInterval(() => {
    for (const track of video.textTracks) {
      for (const cue of track.cues ?? []) text.add(cue.text);
    }
  }, 50);
  await until(video, ['loadedmetadata', 'durationchange'], () => near(video.duration, wanted));
  reached('the duration');

  video.playbackRate = RATE;
  await video.play();
  await until(video, ['timeupdate'], () => video.currentTime > wanted / 2);
  reached('half of it');

  const target = wanted * 3 / 4;
  video.currentTime = target;
  await until(video, ['seeked', 'timeupdate'], () => !video.seeking && video.currentTime >= target - TOLERANCE);
  reached('three quarters by a seek');

  await until(video, ['ended'], () => video.ended);
  reached('the end');
  if (!near(video.currentTime, wanted) || !near(video.duration, wanted)) {
    throw new Error(`ended at ${video.currentTime} of ${video.duration}, not ${wanted}`);
  }

  const frames = video.getVideoPlaybackQuality().totalVideoFrames;
  // Seven and a half seconds of it were played.
  if (frames < wanted * test.rate / 2) throw new Error(`only ${frames} frames were decoded`);
  if (!(video.webkitAudioDecodedByteCount > 0)) throw new Error('no sound was decoded');

  if (test.text && player.showsText) {
    await soon(() => test.text.every((line) => text.has(line)), () => `text shown: ${[...text]}`);
    reached('the text');
  }
  clearInterval(watch);

  if (test.key_frames && player.showKeyFrames) {
    await player.showKeyFrames();
    reached('the key frames');
  }
}

const near = (a, b) => Math.abs(a - b) <= TOLERANCE;

/** Waits until something holds; it is asked at these events, and now and then. */
export function until(video, events, holds) {
  return new Promise((resolve) => {
    const ask = () => {
      if (!holds()) return;
      clearInterval(timer);
      events.forEach((event) => video.removeEventListener(event, ask));
      resolve();
    };
    const timer = setInterval(ask, 50);
    events.forEach((event) => video.addEventListener(event, ask));
    ask();
  });
}

async function soon(holds, why) {
  for (let tries = 0; !holds(); tries += 1) {
    if (tries === 100) throw new Error(why());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
