// The archive as a strip: what was fetched, what was verified, and how much each gateway sent.

import { bytes, count, el } from './dom.js';

/** @typedef {import('../lib/engine-client.js').Engine} Engine */
/** @typedef {import('../lib/engine.js').Summary} Summary */

/** More pieces than pixels show nothing more; the pixels that are filled are remembered instead. */
const CELLS = 1200;

export class Strip {
  #engine;
  #summary;
  /** Which part of each cell was fetched, 0 to 1. */
  #cells = new Float32Array(CELLS);
  #fetched = 0;
  /** @type {[number, number] | null} */
  #marked = null;
  #isBusy = false;
  #isStale = false;
  #canvas = el('canvas', { height: 28, 'aria-hidden': 'true' });
  #said = el('p', { class: 'said', role: 'status', 'aria-live': 'off' });
  #shares = el('ul', { class: 'shares' });
  #resized = new ResizeObserver(() => this.#draw());
  #dark = matchMedia('(prefers-color-scheme: dark)');
  #redraw = () => this.#draw();

  /**
   * @param {Engine} engine
   * @param {Summary} summary
   */
  constructor(engine, summary) {
    this.#engine = engine;
    this.#summary = summary;
    const [kind, word] = summary.isProven ? ['proven', 'fetched and verified'] : ['fetched', 'fetched, not proven'];
    this.element = el(
      'section',
      { class: 'strip', 'aria-label': 'What was fetched of the archive' },
      this.#canvas,
      el(
        'div',
        { class: 'legend' },
        this.#said,
        el('span', { class: `key ${kind}` }, word),
        el('span', { class: 'key index' }, 'index'),
        el('span', { class: 'key this' }, 'the file below'),
      ),
      this.#shares,
    );
    this.#resized.observe(this.#canvas);
    this.#dark.addEventListener('change', this.#redraw);
  }

  close() {
    this.#resized.disconnect();
    this.#dark.removeEventListener('change', this.#redraw);
  }

  /**
   * Marks where a file lies.
   * @param {[number, number] | null} range
   */
  mark(range) {
    this.#marked = range;
    this.#draw();
  }

  async refresh() {
    // One refresh at a time. The next one includes what arrives meanwhile.
    this.#isStale = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        const { shares, fetched } = await this.#engine.call('traffic', this.#summary.location);
        for (const [start, end] of fetched) this.#add(start, end);
        this.#tell(shares);
        this.#draw();
      }
    } catch {
      // The archive was closed.
    } finally {
      this.#isBusy = false;
    }
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  #add(start, end) {
    this.#fetched += end - start;
    const cell = this.#summary.size / CELLS;
    for (let at = Math.floor(start / cell); at < CELLS && at * cell < end; at += 1) {
      const part = (Math.min(end, (at + 1) * cell) - Math.max(start, at * cell)) / cell;
      // Shade small ranges enough to be visible.
      this.#cells[at] = Math.min(1, this.#cells[at] + Math.max(part, 0.35));
    }
  }

  /** @param {import('../lib/ranges.js').Share[]} shares */
  #tell(shares) {
    const sum = (/** @type {'requests' | 'bytes' | 'proven'} */ what) => shares.reduce((sum, share) => sum + share[what], 0);
    const all = sum('bytes');
    const percent = (all / Math.max(this.#summary.size, 1)) * 100;
    const shown = percent >= 9.95 ? percent.toFixed(0) : percent.toFixed(percent >= 0.095 ? 1 : 3);
    this.#said.textContent = `${bytes(all)} fetched (${shown} %) in ${count(sum('requests'), 'request')}`
      + (this.#summary.isProven ? `, ${bytes(sum('proven'))} verified` : ', nothing verified');
    const most = Math.max(all, 1);
    this.#shares.replaceChildren(...shares.map((share) => {
      const bar = el('span', { class: 'bar' });
      const filled = el('span', {});
      filled.style.width = `${(share.bytes / most) * 100}%`;
      bar.append(filled);
      return el(
        'li',
        { class: share.problem ? 'bad' : '' },
        el('span', { class: 'host' }, share.name),
        bar,
        el('span', { class: 'quiet' }, `${bytes(share.bytes)}, ${count(share.requests, 'request')}`),
        share.problem ? el('span', { class: 'problem' }, share.problem) : null,
      );
    }));
  }

  #draw() {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (width === 0) return;
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d');
    if (!context) return;
    const style = getComputedStyle(this.element);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const { size, directory, isProven } = this.#summary;
    const at = (/** @type {number} */ offset) => (offset / Math.max(size, 1)) * width;
    context.fillStyle = color('--strip-empty');
    context.fillRect(0, 0, width, height);
    context.fillStyle = color(isProven ? '--strip-proven' : '--strip-fetched');
    const cell = width / CELLS;
    this.#cells.forEach((filled, index) => {
      if (filled === 0) return;
      context.globalAlpha = filled;
      // Whole pixels, or there would be seams between cells.
      const [left, right] = [Math.floor(index * cell), Math.ceil((index + 1) * cell)];
      context.fillRect(left, 0, Math.max(right - left, Math.ceil(scale)), height);
    });
    context.globalAlpha = 1;
    context.fillStyle = color('--strip-index');
    const [start, end] = directory;
    context.fillRect(Math.min(at(start), width - 3 * scale), 0, Math.max(at(end) - at(start), 3 * scale), height);
    if (this.#marked) {
      const [from, to] = this.#marked;
      context.fillStyle = color('--strip-this');
      context.fillRect(Math.min(at(from), width - 2 * scale), height - 4 * scale, Math.max(at(to) - at(from), 3 * scale), 4 * scale);
    }
  }
}
