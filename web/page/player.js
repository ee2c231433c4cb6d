// The player: a video element with controls, for single files and for HLS and DASH.

import { imagePlaylist, imageThumbnails, thumbnails } from '../lib/playlists.js';
import { clock, copyButton, el, icon, iconButton, messageOf } from './dom.js';
import { prepare, streamIn } from './streams.js';

/** @typedef {import('./streams.js').Choice} Choice */
/** @typedef {import('./streams.js').Picture} Picture */
/** @typedef {import('./streams.js').Stream} Stream */

/**
 * What to play.
 * @typedef {object} Film
 * @property {'hls' | 'dash' | 'video' | 'audio'} kind
 * @property {string} name
 * @property {string | null} url where the service worker answers with proven bytes; null without one
 * @property {string | null} direct the node's own answer, which nothing proves; null if another site has it
 * @property {string} address for players outside of the browser
 * @property {string | null} thumbnails of a WebVTT file with pictures for the seek bar
 * @property {boolean} isProven
 * @property {(message: string) => void} onProblem
 * @property {() => void} onPlaying
 */

const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** Controls hide after this while of rest. */
const REST_MS = 2500;

/** The media type by which browsers say whether they play HLS. */
const HLS = 'application/vnd.apple.mpegurl';

export class Player {
  #film;
  /** @type {Stream | null} */
  #stream = null;
  /** @type {import('../lib/playlists.js').Thumbnail[]} */
  #pictures = [];
  #isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting;
  #video;
  #frame = el('div', { class: 'film' });
  #menu = el('div', { class: 'menu', hidden: true });
  #menuButton = iconButton('settings', 'Quality, sound, subtitles, speed', () => this.#toggleMenu());
  #playButton = iconButton('play', 'Play', () => this.#toggle());
  #muteButton = iconButton('volume', 'Mute', () => this.#mute());
  #seek = el('input', { type: 'range', class: 'seek', min: 0, max: 1000, step: 'any', value: 0, 'aria-label': 'Position' });
  #buffered = el('span', { class: 'buffered' });
  #time = el('span', { class: 'clock' }, '0:00');
  #preview = el('div', { class: 'preview', hidden: true }, el('span', { class: 'picture' }), el('span', { class: 'clock' }));
  #previewing = 0;
  #isSeeking = false;

  /** @param {Film} film */
  constructor(film) {
    this.#film = film;
    const isAudio = film.kind === 'audio';
    this.#video = el('video', { playsinline: true, preload: 'auto', 'aria-label': film.name, tabindex: -1 });
    const video = this.#video;
    const bar = el('div', { class: 'bar' }, this.#buffered, this.#seek, this.#preview);
    const pip = document.pictureInPictureEnabled && !isAudio
      ? iconButton('pip', 'Picture in picture', () => this.#pip())
      : null;
    const full = isAudio ? null : iconButton('full', 'Full screen', () => this.#full());
    const controls = el(
      'div',
      { class: 'controls', role: 'group', 'aria-label': 'Player controls' },
      bar,
      el('div', { class: 'buttons' }, this.#playButton, this.#muteButton, this.#time, el('span', { class: 'gap' }), this.#menuButton, pip, full),
      this.#menu,
    );
    this.#frame.append(video, el('span', { class: 'spinner over' }), controls);
    this.#frame.classList.toggle('audio', isAudio);
    this.element = el('div', { class: 'player' }, this.#frame);
    this.#listen();
  }

  /**
   * Loads what a film will need, before it is wanted.
   * @param {string} path
   */
  static async prepare(path) {
    if (/\.m3u8$/i.test(path)) await prepare('hls');
    if (/\.mpd$/i.test(path)) await prepare('dash');
  }

  async start() {
    const { kind, url, direct } = this.#film;
    if (kind === 'video' || kind === 'audio') {
      const source = url ?? direct;
      if (source === null) this.#explain('Without a service worker this page plays only what its own node serves.');
      else {
        this.#video.src = source;
        await this.#begin();
      }
    } else await this.#startStream();
    await this.#loadPictures();
  }

  async #startStream() {
    const { kind, url, direct, isProven } = this.#film;
    const source = url ?? direct;
    const form = kind === 'dash' ? 'dash' : 'hls';
    const stream = await streamIn(form, this.#video, () => this.#fillMenu(), (message) => this.#fail(message));
    if (this.#isClosed) {
      stream?.close();
      return;
    }
    if (stream && source !== null) {
      this.#stream = stream;
      try {
        await stream.load(source);
        this.#fillMenu();
        await this.#begin();
      } catch (error) {
        if (!this.#isClosed) this.#fail(messageOf(error));
      }
      return;
    }
    stream?.close();
    if (kind === 'hls' && direct !== null && this.#video.canPlayType(HLS)) {
      if (isProven) this.element.prepend(el('p', { class: 'notice warn' }, el('strong', {}, 'Not proven: '), 'this page was built without its player, so the browser plays this by itself, straight from the node.'));
      this.#video.src = direct;
      await this.#begin();
      return;
    }
    this.#explain(stream
      ? 'Without a service worker this page plays only what its own node serves.'
      : `This page was built without a player for ${kind === 'hls' ? 'HLS' : 'DASH'}, and this browser has none.`);
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#resting);
    this.#stream?.close();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  async #begin() {
    try {
      await this.#video.play();
    } catch (error) {
      // Browsers play no sound before a person did something; then it waits for that. Other failures
      // are events of the element as well.
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#rest();
    }
  }

  /** @param {string} why */
  #explain(why) {
    const { address } = this.#film;
    this.#frame.replaceChildren(el(
      'div',
      { class: 'explain' },
      el('p', {}, why),
      el('p', {}, 'Players such as mpv and VLC open this address:'),
      el('p', { class: 'cid' }, el('code', {}, address), copyButton(address, 'Copy the address')),
    ));
  }

  /** @param {string} message */
  #fail(message) {
    this.#frame.classList.remove('waiting');
    this.#film.onProblem(message);
  }

  #listen() {
    const video = this.#video;
    const on = (/** @type {string[]} */ events, /** @type {() => void} */ act) => events.forEach((event) => video.addEventListener(event, act));
    on(['waiting', 'seeking', 'loadstart'], () => this.#frame.classList.add('waiting'));
    on(['playing', 'canplay', 'seeked', 'error', 'emptied'], () => this.#frame.classList.remove('waiting'));
    on(['playing'], () => this.#film.onPlaying());
    on(['play', 'pause', 'ended'], () => {
      const isPaused = video.paused;
      this.#playButton.replaceChildren(icon(isPaused ? 'play' : 'pause'));
      this.#playButton.setAttribute('aria-label', isPaused ? 'Play' : 'Pause');
      this.#playButton.title = isPaused ? 'Play' : 'Pause';
      this.#frame.classList.toggle('paused', isPaused);
      this.#rest();
    });
    on(['volumechange'], () => {
      this.#muteButton.replaceChildren(icon(video.muted ? 'muted' : 'volume'));
      this.#muteButton.setAttribute('aria-label', video.muted ? 'Unmute' : 'Mute');
    });
    on(['timeupdate', 'durationchange', 'progress', 'seeked'], () => this.#tick());
    on(['error'], () => {
      const { error } = video;
      if (!error || this.#isClosed || this.#stream) return;
      this.#fail(error.code === MediaError.MEDIA_ERR_NETWORK
        ? 'its bytes did not come'
        : 'this browser does not play this file, or its bytes are refused');
    });
    video.addEventListener('click', () => this.#toggle());
    this.#seek.addEventListener('input', () => {
      this.#isSeeking = true;
      const time = (Number(this.#seek.value) / 1000) * this.#duration;
      this.#time.textContent = `${clock(time)} / ${clock(this.#duration)}`;
      this.#fillSeek();
    });
    this.#seek.addEventListener('change', () => {
      this.#isSeeking = false;
      video.currentTime = (Number(this.#seek.value) / 1000) * this.#duration;
    });
    this.#seek.addEventListener('pointermove', (event) => void this.#show(event));
    this.#seek.addEventListener('pointerleave', () => {
      this.#previewing += 1;
      this.#preview.hidden = true;
    });
    this.#frame.addEventListener('keydown', (event) => this.#onKey(event));
    for (const event of ['pointermove', 'focusin', 'pointerdown']) this.#frame.addEventListener(event, () => this.#rest());
  }

  get #duration() {
    const { duration } = this.#video;
    return Number.isFinite(duration) ? duration : 0;
  }

  #tick() {
    const { currentTime, buffered } = this.#video;
    const duration = this.#duration;
    if (!this.#isSeeking) {
      this.#seek.value = String(duration > 0 ? (currentTime / duration) * 1000 : 0);
      this.#time.textContent = `${clock(currentTime)} / ${clock(duration)}`;
    }
    this.#seek.setAttribute('aria-valuetext', `${clock(currentTime)} of ${clock(duration)}`);
    let end = currentTime;
    for (let at = 0; at < buffered.length; at += 1) {
      if (buffered.start(at) <= currentTime + 0.1 && buffered.end(at) > end) end = buffered.end(at);
    }
    this.#buffered.style.width = duration > 0 ? `${(end / duration) * 100}%` : '0';
    this.#fillSeek();
  }

  #fillSeek() {
    this.#seek.style.setProperty('--at', `${Number(this.#seek.value) / 10}%`);
  }

  #toggle() {
    if (this.#video.paused) void this.#begin();
    else this.#video.pause();
  }

  #mute() {
    this.#video.muted = !this.#video.muted;
  }

  #full() {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.#frame.requestFullscreen?.().catch(() => {});
  }

  #pip() {
    if (document.pictureInPictureElement) void document.exitPictureInPicture();
    else void this.#video.requestPictureInPicture?.().catch(() => {});
  }

  /** Shows the controls, and hides them after a while if it plays. */
  #rest() {
    this.#frame.classList.remove('rested');
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      const isUsed = this.#frame.matches(':has(.controls :focus-visible)') || !this.#menu.hidden;
      if (!this.#video.paused && !isUsed && this.#film.kind !== 'audio') this.#frame.classList.add('rested');
    }, REST_MS);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === 'SELECT') return;
    const video = this.#video;
    const step = (/** @type {number} */ by) => {
      video.currentTime = Math.min(Math.max(video.currentTime + by, 0), this.#duration);
    };
    /** @type {Record<string, () => void>} */
    const keys = {
      k: () => this.#toggle(),
      m: () => this.#mute(),
      f: () => this.#full(),
      j: () => step(-10),
      l: () => step(10),
      ArrowLeft: () => step(-5),
      ArrowRight: () => step(5),
    };
    if (target.tagName !== 'BUTTON') keys[' '] = () => this.#toggle();
    if (event.key === 'Escape' && !this.#menu.hidden) this.#toggleMenu();
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  }

  #toggleMenu() {
    this.#menu.hidden = !this.#menu.hidden;
    this.#menuButton.setAttribute('aria-expanded', String(!this.#menu.hidden));
    this.#fillMenu();
    if (!this.#menu.hidden) this.#menu.querySelector('select')?.focus();
  }

  #fillMenu() {
    if (this.#menu.hidden) return;
    const video = this.#video;
    const rates = RATES.map((rate) => ({
      label: rate === 1 ? 'Normal' : `${rate}×`,
      isChosen: video.playbackRate === rate,
      choose: () => {
        video.playbackRate = rate;
      },
    }));
    // Of single files the browser may know tracks of text.
    const own = this.#stream ? [] : [...video.textTracks].map((track) => ({
      label: track.label || track.language || 'Subtitles',
      isChosen: track.mode === 'showing',
      choose: () => {
        for (const other of video.textTracks) other.mode = other === track ? 'showing' : 'disabled';
      },
    }));
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.id;
    this.#menu.replaceChildren(
      this.#select('Quality', this.#stream?.qualities() ?? []),
      this.#select('Sound', this.#stream?.audio() ?? []),
      this.#select('Subtitles', this.#stream?.subtitles() ?? own),
      this.#select('Speed', rates),
    );
    if (focused?.startsWith('choice-')) document.getElementById(focused)?.focus();
  }

  /**
   * @param {string} label
   * @param {Choice[]} choices
   */
  #select(label, choices) {
    if (choices.length === 0) return '';
    const select = el('select', { id: `choice-${label}`, change: () => choices[select.selectedIndex]?.choose() });
    for (const { label, isChosen } of choices) select.append(el('option', { selected: isChosen }, label));
    return el('label', {}, el('span', {}, label), select);
  }

  /** Pictures for the seek bar, of a WebVTT file or of an image playlist; shaka-player has its own. */
  async #loadPictures() {
    const { thumbnails: url, kind } = this.#film;
    if (this.#stream?.hasPictures) return;
    const text = async (/** @type {string} */ url) => {
      const answer = await fetch(url).catch(() => null);
      return answer?.ok ? answer.text() : '';
    };
    if (url) {
      this.#pictures = thumbnails(await text(url), new URL(url, location.href).href);
    } else if (kind === 'hls' && this.#film.url) {
      const master = new URL(this.#film.url, location.href).href;
      const images = imagePlaylist(await text(master), master);
      if (images) this.#pictures = imageThumbnails(await text(images), images);
    }
  }

  /** @param {PointerEvent} event */
  async #show(event) {
    this.#previewing += 1;
    const turn = this.#previewing;
    const place = this.#seek.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - place.left) / place.width, 0), 1);
    const time = part * this.#duration;
    const [box, at] = /** @type {[HTMLElement, HTMLElement]} */ (/** @type {unknown} */ ([...this.#preview.children]));
    at.textContent = clock(time);
    this.#preview.hidden = this.#duration === 0;
    this.#preview.style.left = `${part * 100}%`;
    const picture = await this.#picture(time).catch(() => null);
    if (turn !== this.#previewing) return;
    if (!picture) {
      box.hidden = true;
      return;
    }
    box.hidden = false;
    await showPicture(box, picture);
  }

  /**
   * @param {number} time
   * @returns {Promise<Picture | null>}
   */
  async #picture(time) {
    const own = this.#pictures.find(({ start, end }) => start <= time && time < end);
    return own ?? (await this.#stream?.picture(time)) ?? null;
  }
}

/** Widths of pictures on the seek bar. */
const PICTURE = 160;

/** Pictures that were loaded, by address: sprites are used many times. @type {Map<string, Promise<HTMLImageElement>>} */
const loaded = new Map();

/**
 * @param {HTMLElement} box
 * @param {Picture} picture
 */
async function showPicture(box, { url, part }) {
  let coming = loaded.get(url);
  if (!coming) {
    coming = new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = reject;
      image.src = url;
    });
    if (loaded.size > 50) loaded.clear();
    loaded.set(url, coming);
    coming.catch(() => loaded.delete(url));
  }
  const image = await coming;
  const { x, y, width, height } = part ?? { x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight };
  const canvas = el('canvas', { width: PICTURE, height: Math.round((PICTURE * height) / Math.max(width, 1)) });
  canvas.getContext('2d')?.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
  box.replaceChildren(canvas);
}
