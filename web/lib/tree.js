// The tree of an archive: directories, their children in natural order, and lookup by path.
//
// Made for a million entries: numbers in typed arrays, names decoded when they are needed. A node is a
// number: 0 is the root, entry `i` of the index is node `i + 1`, and directories that only paths imply
// come behind.

import { treePath } from './zip-names.js';

/** @typedef {import('./zip-index.js').Index} Index */
/** @typedef {import('./zip-index.js').Entry} Entry */

const NOWHERE = 0xffffffff;
const DIRECTORY = 1;

/** Larger directories are sorted by code units: comparing numbers in names would take too long. */
const MOST_NATURAL = 100_000;

export class Tree {
  /** @type {Uint32Array} */
  #parents;
  /** @type {string[]} paths of implied directories */
  #implied = [];
  /** @type {Map<string, number>} directories by path */
  #directories = new Map([['', 0]]);
  /** @type {Map<number, string>} names of files whose own name is taken */
  #renamed = new Map();
  /** @type {Map<number, Uint32Array>} children by directory, once they are sorted */
  #sorted = new Map();
  /** @type {Uint32Array} the children of directory `n` are `#children[#first[n] .. #first[n + 1]]` */
  #first;
  #children;
  /** @type {Uint8Array} which entries are directories */
  #kinds;
  /** @type {Float64Array} bytes below each directory */
  #sums;

  /** @param {Index} index */
  constructor(index) {
    this.index = index;
    this.hidden = 0;
    this.files = 0;
    const count = index.length;
    const parents = new Uint32Array(count + 1).fill(NOWHERE);
    const kinds = new Uint8Array(count + 1);
    /** @type {{ path: string, node: number }[]} */
    const directories = [];
    for (let id = 0; id < count; id += 1) {
      if (index.kind(id) !== 'dir') continue;
      kinds[id + 1] = DIRECTORY;
      const path = treePath(index.name(id), index.isWindows(id));
      if (path === null) this.hidden += 1;
      else if (path !== '') directories.push({ path, node: id + 1 });
    }
    // Shorter paths first, so that a directory exists before one in it implies it; of equal ones the
    // last in the index counts.
    directories.sort((a, b) => a.path.length - b.path.length || b.node - a.node);
    /** @type {[number, number][]} */
    const implied = [];
    const directory = (/** @type {string} */ path) => {
      const known = this.#directories.get(path);
      if (known !== undefined) return known;
      const node = count + 1 + this.#implied.length;
      this.#implied.push(path);
      this.#directories.set(path, node);
      implied.push([node, directory(folderOf(path))]);
      return node;
    };
    for (const { path, node } of directories) {
      if (this.#directories.has(path)) continue;
      parents[node] = directory(folderOf(path));
      this.#directories.set(path, node);
    }
    let lastFolder = '';
    let lastParent = 0;
    for (let node = 1; node <= count; node += 1) {
      if (kinds[node] === DIRECTORY) continue;
      const path = treePath(index.name(node - 1), index.isWindows(node - 1));
      if (path === null || path === '') {
        this.hidden += 1;
        continue;
      }
      const folder = folderOf(path);
      if (folder !== lastFolder) [lastFolder, lastParent] = [folder, directory(folder)];
      parents[node] = lastParent;
      this.files += 1;
    }
    const nodes = count + 1 + this.#implied.length;
    this.#parents = new Uint32Array(nodes).fill(NOWHERE);
    this.#parents.set(parents);
    for (const [node, parent] of implied) this.#parents[node] = parent;
    this.#parents[0] = 0;
    // Children by directory, by counting.
    this.#first = new Uint32Array(nodes + 1);
    for (let node = 1; node < nodes; node += 1) {
      if (this.#parents[node] !== NOWHERE) this.#first[this.#parents[node] + 1] += 1;
    }
    for (let node = 0; node < nodes; node += 1) this.#first[node + 1] += this.#first[node];
    this.#children = new Uint32Array(this.#first[nodes]);
    const next = this.#first.slice();
    for (let node = 1; node < nodes; node += 1) {
      const parent = this.#parents[node];
      if (parent !== NOWHERE) this.#children[next[parent]++] = node;
    }
    this.#sums = new Float64Array(nodes);
    for (let node = 1; node <= count; node += 1) {
      if (kinds[node] === DIRECTORY || parents[node] === NOWHERE) continue;
      const size = index.size(node - 1);
      for (let at = this.#parents[node]; ; at = this.#parents[at]) {
        this.#sums[at] += size;
        if (at === 0) break;
      }
    }
    this.#kinds = kinds;
  }

  /** Files and directories, without the root. */
  get length() {
    return this.#children.length;
  }

  /**
   * The entry of a node; null for the root and implied directories.
   * @param {number} node
   * @returns {Entry | null}
   */
  entry(node) {
    return node > 0 && node <= this.index.length ? this.index.entry(node - 1) : null;
  }

  /** @param {number} node */
  isDirectory(node) {
    return node === 0 || node > this.index.length || this.#kinds[node] === DIRECTORY;
  }

  /** @param {number} node */
  name(node) {
    const path = this.#renamed.get(node) ?? this.#storedPath(node);
    return path.slice(path.lastIndexOf('/') + 1);
  }

  /** @param {number} node */
  path(node) {
    const names = [];
    for (let at = node; at !== 0; at = this.#parents[at]) names.push(this.name(at));
    return names.reverse().join('/');
  }

  /** @param {number} node */
  parent(node) {
    return this.#parents[node];
  }

  /**
   * Bytes of a file, or of all files below a directory.
   * @param {number} node
   */
  size(node) {
    return this.isDirectory(node) ? this.#sums[node] : this.index.size(node - 1);
  }

  /** @param {number} node */
  childCount(node) {
    return this.#first[node + 1] - this.#first[node];
  }

  /**
   * The children of a directory: directories first, each in natural order.
   * @param {number} directory
   * @returns {Uint32Array}
   */
  children(directory) {
    const known = this.#sorted.get(directory);
    if (known) return known;
    const nodes = this.#children.slice(this.#first[directory], this.#first[directory + 1]);
    const names = Array.from(nodes, (node) => this.name(node));
    this.#rename(nodes, names);
    const compare = nodes.length > MOST_NATURAL ? byCodeUnits : natural;
    const isDirectory = Uint8Array.from(nodes, (node) => Number(this.isDirectory(node)));
    const order = Uint32Array.from(nodes.keys());
    const inOrder = (/** @type {number} */ a, /** @type {number} */ b) => (
      isDirectory[b] - isDirectory[a] || compare(names[a], names[b])
    );
    // Most large directories are in order already.
    if (order.some((at) => at > 0 && inOrder(at - 1, at) > 0)) order.sort(inOrder);
    const sorted = order.map((at) => nodes[at]);
    this.#sorted.set(directory, sorted);
    return sorted;
  }

  /**
   * Gives another name to files whose name is taken, by a directory or by a later entry: `a (1).txt`.
   * @param {Uint32Array} nodes in the order of the index
   * @param {string[]} names
   */
  #rename(nodes, names) {
    const holders = new Map();
    /** @type {number[]} */
    const taken = [];
    nodes.forEach((node, at) => {
      const holder = holders.get(names[at]);
      if (holder === undefined) {
        holders.set(names[at], at);
      } else if (this.isDirectory(nodes[holder])) {
        taken.push(at);
      } else {
        taken.push(holder);
        holders.set(names[at], at);
      }
    });
    taken.sort((a, b) => nodes[a] - nodes[b]);
    /** @type {Map<string, number>} the last number given to a name */
    const numbers = new Map();
    for (const at of taken) {
      const name = names[at];
      const dot = name.lastIndexOf('.');
      const stem = dot > 0 ? name.slice(0, dot) : name;
      let number = numbers.get(name) ?? 0;
      let other;
      do {
        number += 1;
        other = `${stem} (${number})${name.slice(stem.length)}`;
      } while (holders.has(other));
      numbers.set(name, number);
      holders.set(other, at);
      names[at] = other;
      this.#renamed.set(nodes[at], other);
    }
  }

  /**
   * The node at a path; null if there is none.
   * @param {string} path
   */
  find(path) {
    const directory = this.#directories.get(path);
    if (directory !== undefined) return directory;
    const parent = this.#directories.get(folderOf(path));
    if (parent === undefined) return null;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const children = this.children(parent);
    // Files come after directories.
    const compare = children.length > MOST_NATURAL ? byCodeUnits : natural;
    let [low, high] = [0, children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const node = children[middle];
      if (this.isDirectory(node) || compare(this.name(node), name) < 0) low = middle + 1;
      else high = middle;
    }
    return low < children.length && this.name(children[low]) === name ? children[low] : null;
  }

  /**
   * Nodes whose path contains a text, whatever the case; the first ones in the order of the index.
   * @param {string} text
   * @param {number} most
   */
  search(text, most) {
    const wanted = text.toLowerCase();
    const found = [];
    for (let node = 1; node < this.#parents.length && found.length < most; node += 1) {
      if (this.#parents[node] === NOWHERE) continue;
      if (this.#storedPath(node).toLowerCase().includes(wanted)) found.push(node);
    }
    return Uint32Array.from(found);
  }

  /** All nodes that are shown, without the root. */
  *nodes() {
    for (let node = 1; node < this.#parents.length; node += 1) {
      if (this.#parents[node] !== NOWHERE) yield node;
    }
  }

  /** @param {number} node */
  #storedPath(node) {
    if (node > this.index.length) return this.#implied[node - this.index.length - 1];
    if (node === 0) return '';
    return treePath(this.index.name(node - 1), this.index.isWindows(node - 1)) ?? '';
  }
}

/** @param {string} path */
function folderOf(path) {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/**
 * @param {string} a
 * @param {string} b
 */
function byCodeUnits(a, b) {
  return a < b ? -1 : Number(a > b);
}

/**
 * Compares names, with runs of digits as numbers: `seg_9` before `seg_10`. Ties are compared by code
 * units, so that different names are never equal.
 * @param {string} a
 * @param {string} b
 */
export function natural(a, b) {
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (isDigit(a, i) && isDigit(b, j)) {
      const [m, endA] = digits(a, i);
      const [n, endB] = digits(b, j);
      const order = m.length - n.length || byCodeUnits(m, n);
      if (order !== 0) return order;
      [i, j] = [endA, endB];
      continue;
    }
    if (a[i] !== b[j]) return byCodeUnits(a[i], b[j]);
    i += 1;
    j += 1;
  }
  return a.length - i - (b.length - j) || byCodeUnits(a, b);
}

/**
 * @param {string} text
 * @param {number} at
 */
function isDigit(text, at) {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

/**
 * A run of digits without leading zeroes, and where it ends.
 * @param {string} text
 * @param {number} at
 * @returns {[string, number]}
 */
function digits(text, at) {
  let end = at;
  while (isDigit(text, end)) end += 1;
  return [text.slice(at, end).replace(/^0+/, ''), end];
}
