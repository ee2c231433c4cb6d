// The start page: what the node serves.

import { mediaType } from '../lib/media-types.js';
import { bytes, copyButton, el, icon } from './dom.js';
import { routeHash } from './route.js';

/** @typedef {import('./app.js').Services} Services */

/**
 * An archive that the node serves.
 * @typedef {object} Served
 * @property {string} cid
 * @property {string} name
 * @property {number} size
 */

/** Files that are no archives are served as well, but have nothing to look into. */
const isArchive = (/** @type {Served} */ { name }) => /\.(zip|cbz|epub|jar|apk|docx|xlsx|kmz)$/i.test(name);

/** Larger covers are no pictures for a card. */
const LARGEST_COVER = 4 * 1024 * 1024;

export class Home {
  /** @type {Served[]} */
  #served = [];
  #services;
  #list;
  #empty;
  /** @type {string} what the list shows */
  #shown = '';
  /** Covers are fetched one after the other. */
  #covers = Promise.resolve();

  /**
   * @param {Services} services
   * @param {HTMLElement} list
   * @param {HTMLElement} empty
   */
  constructor(services, list, empty) {
    this.#services = services;
    this.#list = list;
    this.#empty = empty;
  }

  async load() {
    const answer = await fetch('/index.json').catch(() => null);
    this.#served = answer?.ok ? await answer.json() : [];
  }

  /** @param {string} location */
  nameOf(location) {
    return this.#served.find(({ cid }) => cid === location)?.name ?? '';
  }

  async refresh() {
    await this.load();
    this.#empty.toggleAttribute('hidden', this.#served.length > 0);
    const now = JSON.stringify(this.#served);
    if (now === this.#shown) return;
    this.#shown = now;
    this.#list.replaceChildren(...this.#served.map((served) => this.#card(served)));
  }

  /** @param {Served} served */
  #card(served) {
    const { cid, name, size } = served;
    const cover = el('span', { class: 'cover' }, icon(isArchive(served) ? 'folder' : 'file'));
    const title = el('a', { class: 'title', href: routeHash({ location: cid, path: '', gateways: [] }) }, name);
    const card = el(
      'li',
      { class: 'card' },
      cover,
      el(
        'div',
        { class: 'about' },
        title,
        el('span', { class: 'quiet' }, bytes(size)),
        el('span', { class: 'cid' }, el('code', { title: cid }, cid), copyButton(cid, `Copy the CID of ${name}`)),
      ),
    );
    if (isArchive(served)) this.#whenSeen(card, () => this.#cover(cid, cover));
    return card;
  }

  /**
   * @param {Element} card
   * @param {() => Promise<void>} work
   */
  #whenSeen(card, work) {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      this.#covers = this.#covers.then(work).catch(() => {});
    });
    observer.observe(card);
  }

  /**
   * @param {string} cid
   * @param {HTMLElement} place
   */
  async #cover(cid, place) {
    // Not while another archive is looked at.
    if (!this.#list.checkVisibility()) return;
    const { engine, ownGateways } = this.#services;
    const summary = await engine.call('open', cid, ownGateways);
    const path = summary.highlights.cover;
    if (path !== null) {
      const trail = await engine.call('trail', cid, path);
      const data = await engine.call('bytes', cid, trail[trail.length - 1], LARGEST_COVER);
      const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (data)], { type: mediaType(path) }));
      const image = el('img', { src: url, alt: '' });
      image.addEventListener('load', () => place.replaceChildren(image));
    } else if (summary.highlights.playlist !== null || summary.highlights.video !== null) {
      place.replaceChildren(icon('film'));
    }
  }
}
