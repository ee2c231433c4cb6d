// The hash tree behind a CID: which leaves a range of the file has, and what they hash to.
//
// Inner nodes come as raw blocks, each verified against its CID. The data of leaves comes as ranges from any
// gateway; `Leaf.verify` says whether it is right.

import { DAG_PB, RAW, cidText, matches } from './cid.js';
import { LONGEST_BLOCK, fileNode, leafBlocks } from './dag-pb.js';
import { CidError } from './errors.js';

/** @typedef {import('./cid.js').Cid} Cid */
/** @typedef {import('./dag-pb.js').FileNode} FileNode */

/**
 * The smallest range that can be verified on its own.
 * @typedef {object} Leaf
 * @property {number} start
 * @property {number} end
 * @property {Cid | null} cid null if nothing proves it
 * @property {Uint8Array} [bytes] known already, because an inner node holds them
 */

/** Trees of files are not deeper. */
const DEEPEST = 8;

/** The most children that are remembered, of all nodes together. */
const MOST_CHILDREN = 1 << 17;

/** The hash tree of one file. */
export class Proof {
  /** @type {Map<string, Promise<FileNode>>} the least recently used first */
  #nodes = new Map();
  #children = 0;
  /** @type {Promise<number> | undefined} */
  #leafDepth;
  #getBlock;

  /**
   * @param {Cid} cid
   * @param {(cid: Cid, signal?: AbortSignal) => Promise<Uint8Array>} getBlock gives verified blocks
   */
  constructor(cid, getBlock) {
    this.cid = cid;
    this.#getBlock = getBlock;
  }

  /** The file's length in bytes. */
  async size() {
    return (await this.#node(this.cid)).size;
  }

  /**
   * The leaves that cover a range, in order.
   * @param {number} start
   * @param {number} end
   */
  async leaves(start, end) {
    /** @type {Leaf[]} */
    const found = [];
    const root = await this.#node(this.cid);
    const collect = async (/** @type {FileNode} */ node, /** @type {number} */ from, /** @type {number} */ depth) => {
      if (depth > DEEPEST) throw new CidError('the tree behind the CID is too deep');
      let at = from + node.data.length;
      if (node.data.length > 0 && from < end && at > start) {
        found.push({ start: from, end: at, cid: null, bytes: node.data });
      }
      for (const { cid, size } of node.children) {
        const [first, last] = [at, at + size];
        at = last;
        if (size === 0 || last <= start) continue;
        if (first >= end) break;
        if (await this.#isLeaf(cid, size, depth + 1)) {
          found.push({ start: first, end: last, cid });
          continue;
        }
        const child = await this.#node(cid);
        if (child.size !== size) {
          throw new CidError('the sizes in the nodes of the file contradict each other');
        }
        await collect(child, first, depth + 1);
      }
    };
    await collect(root, 0, 0);
    return found;
  }

  /**
   * The bytes of a leaf by raw blocks alone. A leaf of dag-pb that was none but an inner node is put
   * together from its own leaves.
   * @param {Cid} cid
   * @param {number} size
   * @param {AbortSignal} [signal]
   * @returns {Promise<Uint8Array>}
   */
  async bytesByBlocks(cid, size, signal, depth = 0) {
    const block = await this.#getBlock(cid, signal);
    const node = fileNode(cid, block);
    if (node.size !== size || size > LONGEST_BLOCK || depth > DEEPEST) {
      throw new CidError('the sizes in the nodes of the file contradict each other');
    }
    const bytes = new Uint8Array(size);
    bytes.set(node.data);
    let at = node.data.length;
    for (const child of node.children) {
      bytes.set(await this.bytesByBlocks(child.cid, child.size, signal, depth + 1), at);
      at += child.size;
    }
    return bytes;
  }

  /**
   * Whether a child is a leaf. Its codec tells, or that it is too large for a block. What is left is a
   * small child in dag-pb; all leaves of usual trees are equally deep, so the first one's depth
   * decides. If that is wrong, the range does not match and [bytesByBlocks] gives its bytes.
   * @param {Cid} cid
   * @param {number} size
   * @param {number} depth
   */
  async #isLeaf(cid, size, depth) {
    if (cid.codec === RAW) return true;
    if (cid.codec !== DAG_PB) throw new CidError('a node of the file is neither raw nor dag-pb');
    if (size > LONGEST_BLOCK) return false;
    this.#leafDepth ??= this.#depthOfFirstLeaf();
    try {
      return depth >= (await this.#leafDepth);
    } catch (error) {
      this.#leafDepth = undefined;
      throw error;
    }
  }

  async #depthOfFirstLeaf() {
    let node = await this.#node(this.cid);
    let depth = 0;
    while (node.children.length > 0 && depth <= DEEPEST) {
      const first = node.children[0].cid;
      depth += 1;
      if (first.codec === RAW) break;
      node = await this.#node(first);
    }
    return depth;
  }

  /**
   * A node. Readers share its request, so none of them can cancel it.
   * @param {Cid} cid
   */
  async #node(cid) {
    const key = cidText(cid);
    const known = this.#nodes.get(key);
    if (known) {
      this.#nodes.delete(key);
      this.#nodes.set(key, known);
      return known;
    }
    const coming = this.#getBlock(cid).then((block) => fileNode(cid, block));
    this.#nodes.set(key, coming);
    try {
      const node = await coming;
      this.#children += node.children.length + 1;
      for (const [oldest, old] of this.#nodes) {
        if (this.#children <= MOST_CHILDREN || old === coming) break;
        this.#nodes.delete(oldest);
        this.#children -= (await old).children.length + 1;
      }
      return node;
    } catch (error) {
      this.#nodes.delete(key);
      throw error;
    }
  }
}

/**
 * Whether these are the bytes of a leaf.
 * @param {Leaf} leaf
 * @param {Uint8Array} bytes
 */
export async function verifies(leaf, bytes) {
  if (!leaf.cid) return true;
  for (const block of leafBlocks(leaf.cid, bytes)) {
    if (await matches(leaf.cid, block)) return true;
  }
  return false;
}
