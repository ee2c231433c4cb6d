// Shows one file: pictures and text in the page, video and audio in the player, anything else to save.

import { bytes, copyButton, dateTime, el, icon, iconButton, messageOf } from './dom.js';
import { Player } from './player.js';

/** @typedef {import('./app.js').Services} Services */
/** @typedef {import('../lib/engine.js').Summary} Summary */
/** @typedef {import('../lib/engine.js').File} File */

/**
 * @typedef {object} Around what the viewer asks of the page around it
 * @property {string} name of the archive
 * @property {(path: string) => void} open
 * @property {(range: [number, number] | null) => void} mark
 */

/** The most of a text that is shown. */
const LONGEST_TEXT = 512 * 1024;

/** The most that is saved where there is no service worker, and so no stream. */
const LARGEST_SAVED = 256 * 1024 * 1024;

/** How long the reason of a failure may come after it. */
const TROUBLE_MS = 400;

export class Viewer {
  #services;
  #summary;
  #around;
  /** @type {Player | null} */
  #player = null;
  /** Changes with each file; what an earlier one still waits for is dropped. */
  #turn = 0;
  /** @type {File | null} */
  #file = null;
  /** @type {string[]} */
  #urls = [];
  #alert = el('div', { class: 'notice bad', role: 'alert', hidden: true });
  #stage = el('div', { class: 'stage' });
  #head = el('div', { class: 'file-head' });

  /**
   * @param {Services} services
   * @param {Summary} summary
   * @param {Around} around
   */
  constructor(services, summary, around) {
    this.#services = services;
    this.#summary = summary;
    this.#around = around;
    this.element = el('section', { class: 'viewer', 'aria-label': 'Viewer' }, this.#alert, this.#stage, this.#head);
  }

  /** What an archive shows before a file is chosen: its film with its cover, else its first picture. */
  async welcome() {
    const { cover, playlist, video } = this.#summary.highlights;
    const film = playlist ?? video;
    if (film === null) {
      if (cover !== null) {
        this.#around.open(cover);
        return;
      }
      this.#stage.replaceChildren(el('p', { class: 'empty' }, 'Choose a file to look at it. Only its bytes are fetched.'));
      return;
    }
    const turn = this.#begin();
    const play = el('button', { type: 'button', class: 'poster', 'aria-label': `Play ${film}`, click: () => this.#around.open(film) }, el('span', { class: 'big' }, icon('play')));
    this.#stage.replaceChildren(play);
    this.#head.replaceChildren(el('p', { class: 'quiet' }, 'Plays ', el('code', {}, film)));
    // Load the player before it is needed.
    void Player.prepare(film);
    if (cover === null) return;
    const picture = await this.#picture(cover).catch(() => null);
    if (picture && turn === this.#turn) play.prepend(picture);
  }

  /** @param {string} path */
  missing(path) {
    this.#begin();
    this.#complain(`The archive has no file '${path}'.`);
  }

  /**
   * Shows a file.
   * @param {number} node
   */
  async show(node) {
    const { engine } = this.#services;
    const { location } = this.#summary;
    const turn = this.#begin();
    try {
      const file = await engine.call('file', location, node);
      if (turn !== this.#turn) return;
      this.#file = file;
      this.#describe(file);
      if (file.problem) {
        this.#stage.replaceChildren(el('p', { class: 'empty' }, icon('lock'), `This file cannot be shown: ${file.problem}.`));
        return;
      }
      // Where the data begins is known only from its local header, which comes with the first bytes.
      void engine.call('extent', location, node).then((range) => {
        if (turn === this.#turn) this.#around.mark(range);
      }, () => {});
      await this.#present(file, turn);
    } catch (error) {
      if (turn === this.#turn) this.#complain(messageOf(error));
    }
  }

  /**
   * A view of this file failed.
   * @param {{ path: string, message: string, isForged: boolean }} trouble
   */
  trouble({ message, isForged }) {
    if (!this.#file) return;
    this.#complain(message, isForged);
  }

  close() {
    this.#begin();
  }

  #begin() {
    this.#turn += 1;
    this.#file = null;
    this.#player?.close();
    this.#player = null;
    this.#urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    this.#alert.hidden = true;
    this.#stage.replaceChildren();
    this.#head.replaceChildren();
    this.#around.mark(null);
    return this.#turn;
  }

  /** @param {File} file */
  #describe(file) {
    const { path, name, size, mtime, kind } = file;
    const save = file.problem ? null : iconButton('save', `Save ${name}`, () => this.#save(file));
    this.#head.replaceChildren(
      el(
        'div',
        { class: 'titles' },
        el('h2', {}, name),
        el('p', { class: 'quiet' }, [kind === 'symlink' ? 'link' : '', bytes(size), dateTime(mtime), path === name ? '' : path].filter(Boolean).join(' · ')),
      ),
      el('div', { class: 'actions' }, save, copyButton(window.location.href, 'Copy the address of this file in this page')),
    );
  }

  /**
   * @param {File} file
   * @param {number} turn
   */
  async #present(file, turn) {
    switch (file.view) {
      case 'image': {
        this.#stage.replaceChildren(el('span', { class: 'spinner' }));
        const picture = await this.#picture(file.path);
        picture.alt = file.name;
        if (turn === this.#turn) this.#stage.replaceChildren(picture);
        break;
      }
      case 'text':
        await this.#text(file, turn);
        break;
      case 'hls':
      case 'dash':
      case 'video':
      case 'audio':
        await this.#play(file, turn);
        break;
      default:
        this.#stage.replaceChildren(el(
          'p',
          { class: 'empty' },
          icon('file'),
          'There is no view for this kind of file. ',
          el('button', { type: 'button', class: 'primary', click: () => this.#save(file) }, 'Save it'),
        ));
    }
  }

  /**
   * A picture that is loaded.
   * @param {string} path
   * @returns {Promise<HTMLImageElement>}
   */
  async #picture(path) {
    const url = this.#services.viewUrl(this.#summary.location, path) ?? (await this.#blobUrl(path));
    const picture = el('img', { alt: '' });
    return new Promise((resolve, reject) => {
      picture.onload = () => resolve(picture);
      // The engine says why, by an event.
      picture.onerror = () => reject(new Error('This picture cannot be shown: its bytes are refused, or are no picture.'));
      picture.src = url;
    });
  }

  /**
   * All of a file at an address of this page, for browsers without a service worker.
   * @param {string} path
   */
  async #blobUrl(path) {
    const { engine } = this.#services;
    const { location } = this.#summary;
    const trail = await engine.call('trail', location, path);
    const node = trail[trail.length - 1];
    const { type } = await engine.call('file', location, node);
    const data = await engine.call('bytes', location, node, LARGEST_SAVED);
    const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (data)], { type }));
    this.#urls.push(url);
    return url;
  }

  /**
   * @param {File} file
   * @param {number} turn
   */
  async #text(file, turn) {
    const data = await this.#services.engine.call('head', this.#summary.location, file.node, LONGEST_TEXT);
    if (turn !== this.#turn) return;
    const text = new TextDecoder().decode(data);
    const rest = file.size > data.length
      ? el('p', { class: 'quiet' }, `These are the first ${bytes(data.length)}. Save the file to read the rest.`)
      : null;
    this.#stage.replaceChildren(el('pre', { class: 'text', tabindex: 0, 'aria-label': file.name }, text), rest ?? '');
  }

  /**
   * @param {File} file
   * @param {number} turn
   */
  async #play(file, turn) {
    const { location, highlights, blobUrl, isProven } = this.#summary;
    const { viewUrl, engine } = this.#services;
    // A player that fetches by itself needs the file's own bytes, as they are stored.
    const mayBeDirect = file.method === 0 && (file.view !== 'video' || viewUrl(location, file.path) === null);
    const [start, end] = mayBeDirect ? await engine.call('extent', location, file.node) : [0, 0];
    if (turn !== this.#turn) return;
    const direct = `${blobUrl}/${file.path.split('/').map(encodeURIComponent).join('/')}?range=${start},${end - start}`;
    const player = new Player({
      kind: /** @type {'hls' | 'dash' | 'video' | 'audio'} */ (file.view),
      name: file.name,
      url: viewUrl(location, file.path),
      // A player that fetches by itself gets unverified bytes, and from this node alone.
      direct: new URL(blobUrl).origin === window.location.origin && start < end ? direct : null,
      address: direct,
      thumbnails: highlights.thumbnails === null ? null : viewUrl(location, highlights.thumbnails),
      isProven,
      onProblem: (message) => {
        // The engine's message says more, and may arrive a moment later.
        setTimeout(() => {
          if (turn === this.#turn && this.#alert.hidden) this.#complain(message);
        }, TROUBLE_MS);
      },
      onPlaying: () => {
        if (turn === this.#turn) this.#alert.hidden = true;
      },
    });
    this.#player = player;
    this.#stage.replaceChildren(player.element);
    if (file.view === 'hls' || file.view === 'dash') this.#head.append(this.#source(file));
    await player.start();
  }

  /** The text of a playlist, for those who want to see it. @param {File} file */
  #source(file) {
    const text = el('pre', { class: 'text', tabindex: 0, 'aria-label': `Text of ${file.name}` });
    return el('details', {
      class: 'source',
      toggle: async () => {
        if (text.textContent) return;
        const data = await this.#services.engine.call('head', this.#summary.location, file.node, LONGEST_TEXT);
        text.textContent = new TextDecoder().decode(data);
      },
    }, el('summary', {}, 'Text of the playlist'), text);
  }

  /** @param {File} file */
  async #save(file) {
    const url = this.#services.viewUrl(this.#summary.location, file.path);
    if (url !== null) {
      // A frame, because some browsers do not ask the service worker for links with `download`.
      const frame = el('iframe', { src: `${url}?save`, hidden: true, title: 'Download' });
      document.body.append(frame);
      setTimeout(() => frame.remove(), 60_000);
      return;
    }
    try {
      el('a', { href: await this.#blobUrl(file.path), download: file.name }).click();
    } catch (error) {
      this.#complain(messageOf(error));
    }
  }

  /**
   * @param {string} message
   * @param {boolean} [isForged]
   */
  #complain(message, isForged = false) {
    const file = this.#file;
    const again = file && el('button', {
      type: 'button',
      click: async () => {
        await this.#services.engine.call('forgive', this.#summary.location);
        await this.show(file.node);
      },
    }, 'Try again');
    this.#alert.replaceChildren(
      el('p', {}, el('strong', {}, isForged ? 'Forged bytes were refused. ' : 'This cannot be shown. '), el('span', { class: 'why' }, message)),
      again ?? '',
    );
    this.#alert.hidden = false;
    for (const spinner of this.#stage.querySelectorAll('.spinner')) spinner.remove();
  }
}
