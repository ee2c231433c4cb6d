// What plays HLS and DASH, whichever library does: hls.js starts HLS sooner, shaka-player plays DASH.

import { HlsStream, loadHls } from './stream-hls.js';
import { ShakaStream, loadShaka } from './stream-shaka.js';

/**
 * A choice that a person may make.
 * @typedef {object} Choice
 * @property {string} label
 * @property {boolean} isChosen
 * @property {() => void} choose
 */

/**
 * A picture for a place on the seek bar.
 * @typedef {object} Picture
 * @property {string} url
 * @property {{ x: number, y: number, width: number, height: number } | null} part
 */

/**
 * One presentation that plays in a video element.
 * @typedef {object} Stream
 * @property {(url: string) => Promise<void>} load
 * @property {() => Choice[]} qualities none if there is nothing to choose
 * @property {() => Choice[]} audio
 * @property {() => Choice[]} subtitles
 * @property {boolean} hasPictures
 * @property {(time: number) => Promise<Picture | null>} picture
 * @property {() => void} close
 */

/**
 * Loads what a form needs, before it is wanted.
 * @param {'hls' | 'dash'} form
 */
export async function prepare(form) {
  await (form === 'hls' ? loadHls() : loadShaka());
}

/**
 * A stream in a video element; null if the page has no library for it.
 * @param {'hls' | 'dash'} form
 * @param {HTMLVideoElement} video
 * @param {() => void} onTracks is called when there are other choices
 * @param {(message: string) => void} onProblem
 * @returns {Promise<Stream | null>}
 */
export async function streamIn(form, video, onTracks, onProblem) {
  if (form === 'hls') {
    const library = await loadHls();
    return library && new HlsStream(library, video, onTracks, onProblem);
  }
  const library = await loadShaka();
  return library && new ShakaStream(library, video, onTracks, onProblem);
}
