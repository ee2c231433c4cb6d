// One archive: what it is, its tree, and the file that is looked at.

import { bytes, copyButton, count, el, icon, messageOf } from './dom.js';
import { FileTree } from './file-tree.js';
import { parseRoute, routeHash } from './route.js';
import { Strip } from './strip.js';
import { Viewer } from './viewer.js';

/** @typedef {import('./app.js').Services} Services */
/** @typedef {import('./route.js').Route} Route */
/** @typedef {import('../lib/engine.js').Summary} Summary */
/** @typedef {import('../lib/engine-client.js').EngineEvent} EngineEvent */

export class ArchivePage {
  #services;
  #place;
  #route;
  #name;
  #isClosed = false;
  /** @type {Strip | null} */
  #strip = null;
  /** @type {Viewer | null} */
  #viewer = null;
  /** @type {FileTree | null} */
  #tree = null;
  /** @type {Summary | null} */
  #summary = null;
  #progress = el('p', { class: 'quiet', role: 'status' });

  /**
   * @param {Services} services
   * @param {HTMLElement} place
   * @param {Route} route
   * @param {string} name that the node gives it; may be empty
   */
  constructor(services, place, route, name) {
    this.#services = services;
    this.#place = place;
    this.#route = route;
    this.#name = name || (/^https?:/i.test(route.location) ? nameOfUrl(route.location) : 'Archive');
    document.title = `${this.#name} · aiozfs`;
  }

  /** @param {Route} route */
  isOf(route) {
    return !this.#isClosed && this.#summary !== null && route.location === this.#route.location
      && route.gateways.join() === this.#route.gateways.join();
  }

  get #gateways() {
    return this.#route.gateways.length > 0 ? this.#route.gateways : this.#services.ownGateways;
  }

  async open() {
    const { engine } = this.#services;
    const { location, path } = this.#route;
    this.#place.replaceChildren(this.#header(null), el('div', { class: 'loading' }, el('span', { class: 'spinner' }), this.#progress));
    this.#progress.textContent = 'Fetching the index, which lies at the archive\u2019s end …';
    try {
      const summary = await engine.call('open', location, this.#gateways);
      if (this.#isClosed) return;
      this.#summary = summary;
      await this.#show(summary);
      if (path) await this.select(path);
      else await this.#viewer?.welcome();
    } catch (error) {
      if (!this.#isClosed) this.fail(messageOf(error), () => this.open());
    }
  }

  /** @param {Summary} summary */
  async #show(summary) {
    const { engine } = this.#services;
    this.#strip = new Strip(engine, summary);
    this.#viewer = new Viewer(this.#services, summary, {
      name: this.#name,
      open: (path) => this.#go(path),
      mark: (range) => this.#strip?.mark(range),
    });
    this.#tree = new FileTree(engine, summary, (path) => this.#go(path));
    this.#place.replaceChildren(
      this.#header(summary),
      this.#strip.element,
      el('div', { class: 'columns' }, this.#viewer.element, this.#tree.element),
    );
    await this.#tree.start();
    await this.#strip.refresh();
  }

  /**
   * Shows a file.
   * @param {string} path
   */
  async select(path) {
    if (!path) return;
    const node = await this.#tree?.reveal(path);
    if (this.#isClosed) return;
    if (node === undefined || node === null) this.#viewer?.missing(path);
    else await this.#viewer?.show(node);
  }

  /** @param {string} path */
  #go(path) {
    const hash = routeHash({ ...this.#route, path });
    if (window.location.hash === hash) void this.select(path);
    else window.location.hash = hash;
  }

  /** @param {Summary | null} summary */
  #header(summary) {
    const { location } = this.#route;
    const isUrl = /^https?:/i.test(location);
    const badge = summary && (summary.isProven
      ? el('span', { class: 'badge good', title: 'Each byte is compared with the CID before it is shown' }, icon('shield'), 'Verified')
      : el('span', { class: 'badge warn', title: summary.unprovenBecause }, icon('warning'), 'Not proven'));
    const facts = summary && el(
      'p',
      { class: 'facts' },
      badge,
      el('span', {}, bytes(summary.size)),
      el('span', {}, count(summary.files, 'file')),
      summary.hidden > 0 ? el('span', {}, `${count(summary.hidden, 'entry', 'entries')} hidden, by names that lead out of the archive`) : null,
    );
    return el(
      'header',
      { class: 'archive-head' },
      el('h1', { id: 'archive-title' }, this.#name),
      el('p', { class: 'cid' }, el('code', { title: location }, location), copyButton(location, isUrl ? 'Copy the URL' : 'Copy the CID')),
      facts,
      summary && !summary.isProven
        ? el('p', { class: 'notice warn' }, el('strong', {}, 'Not proven: '), summary.unprovenBecause, '.')
        : null,
    );
  }

  /**
   * Says why the archive cannot be shown.
   * @param {string} message
   * @param {() => void} [again]
   */
  fail(message, again) {
    const { location } = this.#route;
    const retry = again && el('button', {
      type: 'button',
      class: 'primary',
      click: async () => {
        await this.#services.engine.call('close', location);
        again();
      },
    }, 'Try again');
    const mayBeElsewhere = this.#route.gateways.length === 0 && !/^https?:/i.test(location);
    const hint = mayBeElsewhere ? el('p', { class: 'quiet' }, 'If another gateway has it, name that beside the CID above.') : null;
    this.#place.replaceChildren(
      this.#header(null),
      el('div', { class: 'notice bad', role: 'alert' }, el('p', {}, el('strong', {}, 'This archive cannot be shown. ')), el('p', { class: 'why' }, message), hint, retry ?? null),
    );
  }

  /** @param {EngineEvent} event */
  onEvent(event) {
    if (event.location !== this.#route.location || this.#isClosed) return;
    switch (event.event) {
      case 'progress':
        this.#progress.textContent = `Fetching the index: ${bytes(event.done)} of ${bytes(event.all)}`;
        break;
      case 'traffic':
        void this.#strip?.refresh();
        break;
      case 'trouble':
        this.#viewer?.trouble(event);
    }
  }

  close() {
    this.#isClosed = true;
    this.#viewer?.close();
    this.#tree?.close();
    this.#strip?.close();
    const next = parseRoute(window.location.hash);
    if (next.location !== this.#route.location) void this.#services.engine.call('close', this.#route.location);
    this.#place.replaceChildren();
  }
}

/** @param {string} url */
function nameOfUrl(url) {
  try {
    const { pathname, host } = new URL(url);
    return decodeURIComponent(pathname.split('/').filter(Boolean).pop() ?? host);
  } catch {
    return url;
  }
}
