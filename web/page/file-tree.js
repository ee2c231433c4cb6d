// The tree of files: a grid of rows, of which only those in sight exist, so that a directory may have a
// million. By keyboard as in other trees: arrows, Home, End, Page Up and Down, Enter; / filters.

import { bytes, count, dateTime, el, icon } from './dom.js';
import { viewOf } from '../lib/media-types.js';

/** @typedef {import('../lib/engine-client.js').Engine} Engine */
/** @typedef {import('../lib/engine.js').Summary} Summary */
/** @typedef {import('../lib/engine.js').Row} Row */
/** @typedef {import('./dom.js').IconName} IconName */

/** Browsers draw no elements that are much taller. */
const TALLEST = 6_000_000;

/** Rows that are remembered. */
const MOST_KNOWN = 4000;

/** After the last letter in the filter. */
const TYPING_MS = 180;

/** @type {Record<ReturnType<typeof viewOf>, IconName>} */
const ICONS = { hls: 'film', dash: 'film', video: 'film', audio: 'sound', image: 'image', text: 'text', other: 'file' };

export class FileTree {
  #engine;
  #summary;
  #open;
  /** The lines of the tree as it is unfolded. */
  #nodes = new Uint32Array();
  #depths = new Uint16Array();
  /** @type {Set<number>} unfolded directories */
  #unfolded = new Set();
  /** @type {Map<number, Row>} */
  #known = new Map();
  #active = 0;
  #isFiltered = false;
  /** @type {{ nodes: Uint32Array<ArrayBuffer>, depths: Uint16Array<ArrayBuffer>, active: number } | null} the tree behind a filter */
  #behind = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  #drawing = 0;
  #rowHeight = matchMedia('(pointer: coarse)').matches ? 44 : 32;
  #spacer = el('div', { class: 'spacer', role: 'presentation' });
  #rows = el('div', { class: 'rows', role: 'rowgroup' });
  #grid = el('div', { class: 'grid', role: 'treegrid', tabindex: 0, 'aria-label': 'Files', 'aria-colcount': 3, keydown: (event) => this.#onKey(event), scroll: () => this.#draw() }, this.#spacer, this.#rows);
  #filter = el('input', {
    type: 'search',
    placeholder: 'Filter',
    'aria-label': 'Filter files by name',
    autocomplete: 'off',
    spellcheck: 'false',
    input: () => this.#onType(),
    keydown: (event) => this.#onFilterKey(event),
  });
  #status = el('p', { class: 'quiet status', role: 'status' });
  #resized = new ResizeObserver(() => this.#draw());
  #onSlash = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key !== '/' || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    event.preventDefault();
    this.#filter.focus();
  };

  /**
   * @param {Engine} engine
   * @param {Summary} summary
   * @param {(path: string) => void} open is told the file that is chosen
   */
  constructor(engine, summary, open) {
    this.#engine = engine;
    this.#summary = summary;
    this.#open = open;
    this.element = el(
      'nav',
      { class: 'files', 'aria-label': 'Files in the archive' },
      el('div', { class: 'tools' }, this.#filter, this.#status),
      el('div', { class: 'heads', 'aria-hidden': 'true' }, el('span', {}, 'Name'), el('span', { class: 'size' }, 'Size'), el('span', { class: 'time' }, 'Modified')),
      this.#grid,
    );
    this.#resized.observe(this.#grid);
    document.addEventListener('keydown', this.#onSlash);
  }

  async start() {
    const children = await this.#engine.call('children', this.#summary.location, 0);
    this.#setLines(children, new Uint16Array(children.length));
    // Unfold a directory that is alone.
    if (children.length === 1) await this.#unfold(0);
    this.#say();
  }

  close() {
    this.#resized.disconnect();
    document.removeEventListener('keydown', this.#onSlash);
    clearTimeout(this.#typing);
  }

  /**
   * Unfolds what is above a path and marks it. Gives its node, or null if there is none.
   * @param {string} path
   */
  async reveal(path) {
    const trail = await this.#engine.call('trail', this.#summary.location, path);
    if (trail.length === 0) return null;
    const node = trail[trail.length - 1];
    if (this.#isFiltered && this.#nodes.includes(node)) {
      this.#activate(this.#nodes.indexOf(node), false);
      return node;
    }
    this.#endFilter();
    for (const above of trail.slice(1, -1)) {
      const line = this.#nodes.indexOf(above);
      if (line >= 0 && !this.#unfolded.has(above)) await this.#unfold(line);
    }
    const line = this.#nodes.indexOf(node);
    if (line >= 0) this.#activate(line, true);
    return node;
  }

  /**
   * @param {Uint32Array} nodes
   * @param {Uint16Array} depths
   */
  #setLines(nodes, depths) {
    this.#nodes = /** @type {Uint32Array<ArrayBuffer>} */ (nodes);
    this.#depths = /** @type {Uint16Array<ArrayBuffer>} */ (depths);
    this.#grid.setAttribute('aria-rowcount', String(nodes.length));
    this.#spacer.style.height = `${this.#height}px`;
    this.#active = Math.min(this.#active, Math.max(nodes.length - 1, 0));
    this.#draw();
  }

  get #height() {
    return Math.min(this.#nodes.length * this.#rowHeight, TALLEST);
  }

  /** The first line in sight; with a fraction. */
  get #top() {
    const full = this.#nodes.length * this.#rowHeight;
    const room = this.#grid.clientHeight;
    if (full <= TALLEST) return this.#grid.scrollTop / this.#rowHeight;
    return ((this.#grid.scrollTop / Math.max(this.#height - room, 1)) * (full - room)) / this.#rowHeight;
  }

  /** @param {number} line */
  #scrollTo(line) {
    const room = this.#grid.clientHeight;
    const visible = room / this.#rowHeight;
    const top = this.#top;
    let wanted = top;
    if (line < top) wanted = line;
    if (line + 1 > top + visible) wanted = line + 1 - visible;
    if (wanted === top) return;
    const full = this.#nodes.length * this.#rowHeight;
    const pixels = wanted * this.#rowHeight;
    this.#grid.scrollTop = full <= TALLEST ? pixels : (pixels / (full - room)) * (this.#height - room);
  }

  /** Draws the lines in sight; those that are not known yet are drawn again once they are. */
  #draw() {
    this.#drawing += 1;
    const drawing = this.#drawing;
    const top = this.#top;
    const first = Math.max(Math.floor(top) - 4, 0);
    const last = Math.min(Math.ceil(top + this.#grid.clientHeight / this.#rowHeight) + 4, this.#nodes.length);
    const lines = [];
    const missing = [];
    for (let line = first; line < last; line += 1) {
      const row = this.#known.get(this.#nodes[line]);
      if (!row) missing.push(this.#nodes[line]);
      lines.push(this.#line(line, row, top));
    }
    this.#rows.replaceChildren(...lines);
    this.#grid.setAttribute('aria-activedescendant', `line-${this.#active}`);
    if (missing.length === 0) return;
    void this.#fetch(missing).then(() => {
      if (drawing === this.#drawing) this.#draw();
    }, () => {});
  }

  /** @param {number[]} nodes */
  async #fetch(nodes) {
    const { location } = this.#summary;
    const rows = await this.#engine.call('rows', location, nodes);
    if (this.#isFiltered) {
      const paths = await this.#engine.call('paths', location, nodes);
      rows.forEach((row, at) => {
        row.name = paths[at];
      });
    }
    if (this.#known.size > MOST_KNOWN) this.#known.clear();
    for (const row of rows) this.#known.set(row.node, row);
  }

  /**
   * @param {number} line
   * @param {Row | undefined} row
   * @param {number} top
   */
  #line(line, row, top) {
    const node = this.#nodes[line];
    const depth = this.#depths[line];
    const isDirectory = row?.kind === 'dir';
    const isUnfolded = this.#unfolded.has(node);
    const element = el(
      'div',
      {
        class: `row${line === this.#active ? ' active' : ''}${row?.problem ? ' unreadable' : ''}`,
        role: 'row',
        id: `line-${line}`,
        'aria-rowindex': line + 1,
        'aria-level': depth + 1,
        'aria-selected': line === this.#active ? 'true' : 'false',
        'aria-expanded': isDirectory && !this.#isFiltered ? String(isUnfolded) : null,
        title: row?.problem ? `${row.name}: ${row.problem}` : row?.name,
        click: () => this.#choose(line),
      },
    );
    // Scrolling may be scaled, so rows are placed where they are seen.
    element.style.transform = `translateY(${this.#grid.scrollTop + (line - top) * this.#rowHeight}px)`;
    element.style.height = `${this.#rowHeight}px`;
    if (!row) return element;
    const name = el('span', { class: 'name', role: 'gridcell' });
    name.style.paddingInlineStart = `${Math.min(depth, 12) * 16}px`;
    const fold = el('span', { class: `fold${isUnfolded ? ' unfolded' : ''}` });
    if (isDirectory && !this.#isFiltered) fold.append(icon('chevron'));
    name.append(fold, icon(iconOf(row)), el('span', { class: 'text' }, row.name));
    const size = isDirectory ? `${count(row.children, 'item')}` : bytes(row.size);
    element.append(
      name,
      el('span', { class: 'size', role: 'gridcell' }, size),
      el('span', { class: 'time', role: 'gridcell' }, row.mtime === null ? '' : dateTime(row.mtime)),
    );
    return element;
  }

  /** @param {number} line */
  async #choose(line) {
    this.#activate(line, false);
    const node = this.#nodes[line];
    const row = await this.#row(line);
    if (row?.kind === 'dir' && !this.#isFiltered) {
      if (this.#unfolded.has(node)) this.#fold(line);
      else await this.#unfold(line);
      return;
    }
    const [path] = await this.#engine.call('paths', this.#summary.location, [node]);
    if (row?.kind === 'dir') {
      await this.reveal(path);
      await this.#unfold(this.#active);
    } else this.#open(path);
  }

  /**
   * @param {number} line
   * @param {boolean} isScrolled
   */
  #activate(line, isScrolled) {
    this.#active = Math.min(Math.max(line, 0), this.#nodes.length - 1);
    if (isScrolled) this.#scrollTo(this.#active);
    this.#draw();
  }

  /** @param {number} line */
  async #row(line) {
    const node = this.#nodes[line];
    if (!this.#known.has(node)) await this.#fetch([node]);
    return this.#known.get(node);
  }

  /** @param {number} line */
  async #unfold(line) {
    const node = this.#nodes[line];
    const depth = this.#depths[line] + 1;
    const children = await this.#engine.call('children', this.#summary.location, node);
    if (this.#unfolded.has(node) || this.#nodes[line] !== node) return;
    this.#unfolded.add(node);
    const nodes = new Uint32Array(this.#nodes.length + children.length);
    nodes.set(this.#nodes.subarray(0, line + 1));
    nodes.set(children, line + 1);
    nodes.set(this.#nodes.subarray(line + 1), line + 1 + children.length);
    const depths = new Uint16Array(nodes.length);
    depths.set(this.#depths.subarray(0, line + 1));
    depths.fill(depth, line + 1, line + 1 + children.length);
    depths.set(this.#depths.subarray(line + 1), line + 1 + children.length);
    this.#setLines(nodes, depths);
  }

  /** @param {number} line */
  #fold(line) {
    let end = line + 1;
    while (end < this.#nodes.length && this.#depths[end] > this.#depths[line]) end += 1;
    for (let at = line; at < end; at += 1) this.#unfolded.delete(this.#nodes[at]);
    const without = (/** @type {Uint32Array | Uint16Array} */ list) => {
      const kept = list.slice(0, list.length - (end - line - 1));
      kept.set(list.subarray(end), line + 1);
      return kept;
    };
    this.#setLines(/** @type {Uint32Array} */ (without(this.#nodes)), /** @type {Uint16Array} */ (without(this.#depths)));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const page = Math.max(Math.floor(this.#grid.clientHeight / this.#rowHeight) - 1, 1);
    const node = this.#nodes[this.#active];
    const isUnfolded = this.#unfolded.has(node);
    /** @type {Record<string, () => unknown>} */
    const keys = {
      ArrowDown: () => this.#activate(this.#active + 1, true),
      ArrowUp: () => this.#activate(this.#active - 1, true),
      PageDown: () => this.#activate(this.#active + page, true),
      PageUp: () => this.#activate(this.#active - page, true),
      Home: () => this.#activate(0, true),
      End: () => this.#activate(this.#nodes.length - 1, true),
      Enter: () => this.#choose(this.#active),
      ' ': () => this.#choose(this.#active),
      ArrowRight: async () => {
        if (isUnfolded) this.#activate(this.#active + 1, true);
        else if ((await this.#row(this.#active))?.kind === 'dir' && !this.#isFiltered) await this.#unfold(this.#active);
      },
      ArrowLeft: () => {
        if (isUnfolded) this.#fold(this.#active);
        else {
          let above = this.#active;
          while (above > 0 && this.#depths[above] >= this.#depths[this.#active]) above -= 1;
          this.#activate(above, true);
        }
      },
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || this.#nodes.length === 0) return;
    event.preventDefault();
    void act();
  }

  /** @param {KeyboardEvent} event */
  #onFilterKey(event) {
    if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      this.#grid.focus();
    }
    if (event.key === 'Escape' && this.#filter.value !== '') {
      event.preventDefault();
      this.#endFilter();
    }
  }

  #onType() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => void this.#search(this.#filter.value.trim()), TYPING_MS);
  }

  /** @param {string} text */
  async #search(text) {
    if (!text) {
      this.#endFilter();
      return;
    }
    const found = await this.#engine.call('search', this.#summary.location, text);
    if (this.#filter.value.trim() !== text) return;
    this.#behind ??= { nodes: this.#nodes, depths: this.#depths, active: this.#active };
    this.#isFiltered = true;
    this.#known.clear();
    this.#grid.scrollTop = 0;
    this.#active = 0;
    this.#setLines(found, new Uint16Array(found.length));
    this.#say();
  }

  #endFilter() {
    clearTimeout(this.#typing);
    this.#filter.value = '';
    if (!this.#behind) return;
    const { nodes, depths, active } = this.#behind;
    this.#behind = null;
    this.#isFiltered = false;
    this.#known.clear();
    this.#active = active;
    this.#setLines(nodes, depths);
    this.#say();
  }

  #say() {
    const found = this.#nodes.length;
    this.#status.textContent = this.#isFiltered
      ? `${found >= 5000 ? 'the first ' : ''}${count(found, 'match', 'matches')}`
      : '';
  }
}

/** @param {Row} row */
function iconOf(row) {
  if (row.kind === 'dir') return 'folder';
  if (row.kind === 'symlink') return 'link';
  if (row.problem) return 'lock';
  return ICONS[viewOf(row.name)];
}
