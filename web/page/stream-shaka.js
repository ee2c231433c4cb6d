// DASH by shaka-player, which `mount-scripts/page` bundles; a page without it has none.

import { languageName } from './languages.js';

/** @typedef {import('./streams.js').Choice} Choice */
/** @typedef {import('./streams.js').Picture} Picture */
/** @typedef {import('./streams.js').Stream} Stream */

/** @type {Promise<any> | null} */
let loading = null;

/** The library; null if the page has none. @returns {Promise<any>} */
export function loadShaka() {
  // Not by name, so that types are checked without it.
  const script = new URL('../dist/shaka.js', import.meta.url).href;
  loading ??= import(script).then(({ default: shaka }) => {
    shaka.polyfill.installAll();
    return shaka.Player.isBrowserSupported() ? shaka : null;
  }, () => null);
  return loading;
}

/** One presentation in a video element. @implements {Stream} */
export class ShakaStream {
  #shaka;
  #player;
  #video;

  /**
   * @param {any} shaka
   * @param {HTMLVideoElement} video
   * @param {() => void} onTracks is called when there are other choices
   * @param {(message: string) => void} onProblem
   */
  constructor(shaka, video, onTracks, onProblem) {
    this.#shaka = shaka;
    this.#video = video;
    this.#player = new shaka.Player();
    this.#player.configure({
      streaming: {
        bufferingGoal: 30,
        rebufferingGoal: 1,
        bufferBehind: 60,
        // Of what the engine has tried already, for 20 seconds.
        retryParameters: { maxAttempts: 3, baseDelay: 500, timeout: 90_000, stallTimeout: 60_000, connectionTimeout: 90_000 },
      },
      abr: { defaultBandwidthEstimate: 2e6 },
    });
    for (const event of ['trackschanged', 'adaptation', 'variantchanged', 'textchanged', 'texttrackvisibility']) {
      this.#player.addEventListener(event, onTracks);
    }
    this.#player.addEventListener('error', (/** @type {any} */ { detail }) => onProblem(this.#words(detail)));
  }

  /** @param {string} url */
  async load(url) {
    await this.#player.attach(this.#video);
    try {
      await this.#player.load(url);
    } catch (error) {
      throw new Error(this.#words(error));
    }
  }

  close() {
    void this.#player.destroy();
  }

  /** @returns {Choice[]} */
  qualities() {
    const player = this.#player;
    const current = player.getVariantTracks().find((/** @type {any} */ track) => track.active);
    /** @type {Map<string, any>} */
    const byLabel = new Map();
    for (const track of player.getVariantTracks()) {
      if (track.height === null || (current && track.audioId !== current.audioId && track.language !== current.language)) continue;
      const label = `${track.height}p${track.frameRate > 40 ? Math.round(track.frameRate) : ''}`;
      const known = byLabel.get(label);
      if (!known || track.bandwidth > known.bandwidth) byLabel.set(label, track);
    }
    const tracks = [...byLabel].sort(([, a], [, b]) => b.height - a.height);
    if (tracks.length < 2) return [];
    const isAuto = player.getConfiguration().abr.enabled;
    const auto = {
      label: isAuto && current?.height ? `Auto (${current.height}p)` : 'Auto',
      isChosen: isAuto,
      choose: () => player.configure('abr.enabled', true),
    };
    return [auto, ...tracks.map(([label, track]) => ({
      label,
      isChosen: !isAuto && track.active,
      choose: () => {
        player.configure('abr.enabled', false);
        player.selectVariantTrack(track, true);
      },
    }))];
  }

  /** @returns {Choice[]} */
  audio() {
    const tracks = this.#player.getAudioTracks();
    if (tracks.length < 2) return [];
    return tracks.map((/** @type {any} */ track) => ({
      label: track.label || languageName(track.language) || 'Audio',
      isChosen: track.active,
      choose: () => this.#player.selectAudioTrack(track),
    }));
  }

  /** @returns {Choice[]} */
  subtitles() {
    const player = this.#player;
    const tracks = player.getTextTracks();
    if (tracks.length === 0) return [];
    // Shaka's versions differ in whether a track or its visibility is chosen.
    const isShown = tracks.some((/** @type {any} */ track) => track.active) && player.isTextTrackVisible?.() !== false;
    const off = { label: 'Off', isChosen: !isShown, choose: () => player.selectTextTrack(null) };
    return [off, ...tracks.map((/** @type {any} */ track) => ({
      label: track.label || languageName(track.language) || 'Subtitles',
      isChosen: isShown && track.active,
      choose: () => {
        player.selectTextTrack(track);
        player.setTextTrackVisibility?.(true);
      },
    }))];
  }

  /**
   * The picture at a time, of image playlists in HLS and tiles in DASH.
   * @param {number} time
   * @returns {Promise<Picture | null>}
   */
  async picture(time) {
    const [track] = this.#player.getImageTracks();
    if (!track) return null;
    const found = await this.#player.getThumbnails(track.id, time);
    if (!found?.uris?.length) return null;
    const { positionX: x, positionY: y, width, height } = found;
    return { url: found.uris[0], part: { x, y, width, height } };
  }

  get hasPictures() {
    return this.#player.getImageTracks().length > 0;
  }

  /** @param {any} error */
  #words(error) {
    const { Code, Category } = this.#shaka.util.Error;
    const name = (/** @type {any} */ list, /** @type {unknown} */ value) => Object.keys(list).find((key) => list[key] === value);
    switch (error.code) {
      case Code.BAD_HTTP_STATUS:
        return String(error.data?.[2] || `a request failed with status ${error.data?.[1]}`).trim();
      case Code.HTTP_ERROR:
      case Code.TIMEOUT:
        return 'the bytes did not come';
      default:
        return `the player says ${name(Code, error.code) ?? error.code} (${name(Category, error.category) ?? error.category})`;
    }
  }
}
