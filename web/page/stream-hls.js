// HLS by hls.js, which `mount-scripts/page` bundles; a page without it has none.

import { languageName } from './languages.js';

/** @typedef {import('./streams.js').Choice} Choice */
/** @typedef {import('./streams.js').Stream} Stream */

/** @type {Promise<any> | null} */
let loading = null;

/** The library; null if the page has none. @returns {Promise<any>} */
export function loadHls() {
  // Not by name, so that types are checked without it.
  const script = new URL('../dist/hls.js', import.meta.url).href;
  loading ??= import(script).then(({ default: Hls }) => (Hls.isSupported() ? Hls : null), () => null);
  return loading;
}

/** A fatal error of media is repaired this often. */
const MOST_REPAIRS = 3;

/** One presentation in a video element. @implements {Stream} */
export class HlsStream {
  hasPictures = false;
  #Hls;
  #hls;
  #video;
  #repairs = 0;

  /**
   * @param {any} Hls
   * @param {HTMLVideoElement} video
   * @param {() => void} onTracks
   * @param {(message: string) => void} onProblem
   */
  constructor(Hls, video, onTracks, onProblem) {
    this.#Hls = Hls;
    this.#video = video;
    // The policy of the page allows no worker from a blob.
    this.#hls = new Hls({ enableWorker: false, maxBufferLength: 30, backBufferLength: 60 });
    const { Events } = Hls;
    for (const event of [Events.MANIFEST_PARSED, Events.LEVEL_SWITCHED, Events.AUDIO_TRACKS_UPDATED, Events.AUDIO_TRACK_SWITCHED, Events.SUBTITLE_TRACKS_UPDATED, Events.SUBTITLE_TRACK_SWITCH]) {
      this.#hls.on(event, onTracks);
    }
    this.#hls.on(Events.ERROR, (/** @type {unknown} */ _, /** @type {any} */ error) => this.#onError(error, onProblem));
  }

  /** @param {string} url */
  load(url) {
    this.#hls.attachMedia(this.#video);
    return new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      const { Events } = this.#Hls;
      this.#hls.once(Events.MANIFEST_PARSED, () => resolve());
      this.#hls.on(Events.ERROR, (/** @type {unknown} */ _, /** @type {any} */ error) => {
        if (error.fatal) reject(new Error(words(error)));
      });
      this.#hls.loadSource(url);
    });
  }

  close() {
    this.#hls.destroy();
  }

  /** @returns {Choice[]} */
  qualities() {
    const hls = this.#hls;
    if (hls.levels.length < 2) return [];
    const name = (/** @type {any} */ level) => (level.height ? `${level.height}p` : `${Math.round(level.bitrate / 1000)} kbit/s`);
    const current = hls.levels[hls.currentLevel];
    /** @type {Choice[]} */
    const levels = hls.levels.map((/** @type {any} */ level, /** @type {number} */ at) => ({
      label: name(level),
      isChosen: !hls.autoLevelEnabled && at === hls.currentLevel,
      choose: () => {
        hls.nextLevel = at;
      },
    }));
    const auto = {
      label: hls.autoLevelEnabled && current ? `Auto (${name(current)})` : 'Auto',
      isChosen: hls.autoLevelEnabled,
      choose: () => {
        hls.nextLevel = -1;
      },
    };
    return [auto, ...levels.reverse()];
  }

  /** @returns {Choice[]} */
  audio() {
    const hls = this.#hls;
    if (hls.audioTracks.length < 2) return [];
    return hls.audioTracks.map((/** @type {any} */ track, /** @type {number} */ at) => ({
      label: track.name || languageName(track.lang) || 'Audio',
      isChosen: at === hls.audioTrack,
      choose: () => {
        hls.audioTrack = at;
      },
    }));
  }

  /** @returns {Choice[]} */
  subtitles() {
    const hls = this.#hls;
    if (hls.subtitleTracks.length === 0) return [];
    const isShown = hls.subtitleDisplay && hls.subtitleTrack >= 0;
    const off = {
      label: 'Off',
      isChosen: !isShown,
      choose: () => {
        hls.subtitleTrack = -1;
      },
    };
    return [off, ...hls.subtitleTracks.map((/** @type {any} */ track, /** @type {number} */ at) => ({
      label: track.name || languageName(track.lang) || 'Subtitles',
      isChosen: isShown && at === hls.subtitleTrack,
      choose: () => {
        hls.subtitleDisplay = true;
        hls.subtitleTrack = at;
      },
    }))];
  }

  /** hls.js knows no image playlists; the player reads them itself. */
  async picture() {
    return null;
  }

  /**
   * @param {any} error
   * @param {(message: string) => void} onProblem
   */
  #onError(error, onProblem) {
    if (!error.fatal) return;
    const { ErrorTypes } = this.#Hls;
    if (error.type === ErrorTypes.MEDIA_ERROR && this.#repairs < MOST_REPAIRS) {
      this.#repairs += 1;
      this.#hls.recoverMediaError();
      return;
    }
    onProblem(words(error));
  }
}

/** @param {any} error */
function words(error) {
  const status = error.response?.code;
  if (error.type === 'networkError') return status ? `a request was answered with status ${status}` : 'the bytes did not come';
  return `the player says ${error.details}`;
}
