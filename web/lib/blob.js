// A blob's bytes: verified leaf by leaf, fetched once, kept for a while.

import { DAG_PB, parseCid } from './cid.js';
import { ArchiveError, UnavailableError } from './errors.js';
import { Gateways, forged, joined } from './ranges.js';
import { Proof, verifies } from './unixfs-proof.js';

/** @typedef {import('./unixfs-proof.js').Leaf} Leaf */

/** The longest range of one request, in bytes. */
const LONGEST_RUN = 4 * 1024 * 1024;

/**
 * The first bytes that a reader waits for are requested over several connections, in pieces of at least
 * this length. One connection is often slower than the link.
 */
const SHORTEST_PIECE = 512 * 1024;
const MOST_PIECES = 4;

/** How far ahead of a reader bytes are fetched. */
const AHEAD = 2 * LONGEST_RUN;

/** The most memory for leaves of all blobs, in bytes. */
const MEMORY = 96 * 1024 * 1024;

/** The unit of fetching for a blob that cannot be verified, in bytes. */
const UNPROVEN_LEAF = 512 * 1024;

/**
 * A request without readers is cancelled after this time. Video elements drop a request and send it again
 * from a little further on.
 */
const GRACE_MS = 250;

/** The most ranges that are kept for the page to ask for. A page may never ask. */
const MOST_TOLD = 100_000;

/**
 * One request for leaves that follow each other.
 * @typedef {object} Run
 * @property {AbortController} control
 * @property {Set<object>} readers that wait for its bytes
 */

/** @typedef {{ bytes: Promise<Uint8Array>, run: Run }} Coming */

/** Verified leaves of all blobs, the least recently used first. */
class Kept {
  /** @type {Map<string, Uint8Array>} by blob and start */
  #leaves = new Map();
  #bytes = 0;

  /** @param {string} key */
  get(key) {
    const leaf = this.#leaves.get(key);
    if (leaf) this.put(key, leaf);
    return leaf;
  }

  /**
   * @param {string} key
   * @param {Uint8Array} leaf
   */
  put(key, leaf) {
    if (!this.#leaves.delete(key)) this.#bytes += leaf.length;
    this.#leaves.set(key, leaf);
    for (const [oldest, old] of this.#leaves) {
      if (this.#bytes <= MEMORY || oldest === key) break;
      this.drop(oldest, old);
    }
  }

  /**
   * @param {string} key
   * @param {Uint8Array} leaf
   */
  drop(key, leaf) {
    this.#leaves.delete(key);
    this.#bytes -= leaf.length;
  }

  /** @param {string} prefix */
  dropAll(prefix) {
    for (const [key, leaf] of this.#leaves) {
      if (key.startsWith(prefix)) this.drop(key, leaf);
    }
  }
}

const kept = new Kept();
let blobs = 0;

/** The bytes of an archive. With a CID, each is verified before it is given out. */
export class Blob {
  /** What begins its leaves' names in `kept`. */
  #prefix = `${(blobs += 1)}:`;
  /** @type {Map<number, Coming>} leaves on their way */
  #coming = new Map();

  /**
   * @param {Gateways} gateways
   * @param {Proof | null} proof null if nothing proves the bytes
   * @param {number} size
   * @param {string} [unprovenBecause]
   */
  constructor(gateways, proof, size, unprovenBecause = '') {
    /** Why nothing is verified; empty if all is. */
    this.unprovenBecause = unprovenBecause;
    this.gateways = gateways;
    this.proof = proof;
    this.size = size;
    /** Ranges that came, in order of arrival; for people to see. @type {[number, number][]} */
    this.fetched = [];
  }

  /** Whether each byte is verified against the CID. */
  get isProven() {
    return this.proof !== null;
  }

  /**
   * Opens a CID or a URL.
   *
   * Without raw blocks nothing can be verified. If every gateway refuses them for good, the blob is
   * opened without a proof, and `unprovenBecause` says why. A forged block is an error.
   * @param {string} location
   * @param {string[]} bases gateways, for a CID
   * @param {() => void} [onTraffic]
   */
  static async open(location, bases, onTraffic) {
    if (/^https?:/.test(location)) {
      const gateways = Gateways.ofUrl(location, onTraffic);
      return new Blob(gateways, null, await gateways.size(), 'a URL names no content that could be compared');
    }
    const cid = parseCid(location);
    const gateways = Gateways.ofCid(location, bases, onTraffic);
    if (!globalThis.crypto?.subtle) {
      const why = 'the browser computes hashes only for pages from https or localhost';
      return new Blob(gateways, null, await gateways.size(), why);
    }
    const proof = new Proof(cid, (cid, signal) => gateways.block(cid, signal));
    try {
      return new Blob(gateways, proof, await proof.size());
    } catch (error) {
      if (!(error instanceof UnavailableError) || !error.isFinal || error.isForged) throw error;
      const why = `no gateway gives raw blocks (${error.problems.map((problem) => problem.message).join('; ')})`;
      return new Blob(gateways, null, await gateways.size(), why);
    }
  }

  /**
   * The bytes of a range, in order, as soon as they are verified.
   * @param {number} start
   * @param {number} end
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *read(start, end, signal) {
    if (start < 0 || end > this.size || start > end) {
      throw new ArchiveError(`the archive has no bytes ${start} to ${end}; it is ${this.size} bytes long`);
    }
    const reader = {};
    /** @type {Leaf[]} requested but not given out yet */
    let ahead = [];
    let planned = start;
    const cancel = () => this.#leave(reader);
    signal?.addEventListener('abort', cancel);
    try {
      for (let at = start; at < end; ) {
        signal?.throwIfAborted();
        while (planned < end && planned < at + AHEAD) {
          const leaves = await this.#leaves(planned, Math.min(end, planned + LONGEST_RUN));
          this.#want(leaves, reader, planned === start ? MOST_PIECES : 1);
          ahead.push(...leaves);
          planned = leaves[leaves.length - 1].end;
        }
        const leaf = ahead.shift();
        if (!leaf) throw new ArchiveError('the leaves of the file do not cover it');
        const bytes = await this.#leaf(leaf, reader, signal);
        signal?.throwIfAborted();
        yield bytes.subarray(Math.max(at - leaf.start, 0), Math.min(end, leaf.end) - leaf.start);
        at = leaf.end;
      }
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancel();
    }
  }

  /**
   * All bytes of a range at once.
   * @param {number} start
   * @param {number} end
   * @param {AbortSignal} [signal]
   * @param {(bytes: number) => void} [onProgress] is told how many bytes are there
   */
  async bytes(start, end, signal, onProgress = () => {}) {
    const whole = new Uint8Array(Math.max(end - start, 0));
    let at = 0;
    for await (const part of this.read(start, end, signal)) {
      whole.set(part, at);
      at += part.length;
      onProgress(at);
    }
    return whole;
  }

  /**
   * @param {number} start
   * @param {number} end
   * @returns {Promise<Leaf[]>}
   */
  async #leaves(start, end) {
    if (this.proof) return this.proof.leaves(start, end);
    const leaves = [];
    for (let at = start - (start % UNPROVEN_LEAF); at < end; at += UNPROVEN_LEAF) {
      leaves.push({ start: at, end: Math.min(at + UNPROVEN_LEAF, this.size), cid: null });
    }
    return leaves;
  }

  /**
   * Requests the leaves that are neither here nor on their way.
   * @param {Leaf[]} leaves
   * @param {object} reader
   * @param {number} pieces the most requests for leaves that follow each other
   */
  #want(leaves, reader, pieces) {
    const length = leaves[leaves.length - 1].end - leaves[0].start;
    const piece = pieces === 1 ? Infinity : Math.max(length / pieces, SHORTEST_PIECE);
    /** @type {Leaf[]} */
    let missing = [];
    const request = () => {
      if (missing.length > 0) this.#request(missing, reader);
      missing = [];
    };
    for (const leaf of leaves) {
      const coming = this.#coming.get(leaf.start);
      if (leaf.bytes || kept.get(this.#prefix + leaf.start) || coming) {
        coming?.run.readers.add(reader);
        request();
      } else {
        missing.push(leaf);
        if (leaf.end - missing[0].start >= piece) request();
      }
    }
    request();
  }

  /**
   * @param {Leaf} leaf
   * @param {object} reader
   * @param {AbortSignal} [signal]
   */
  async #leaf(leaf, reader, signal) {
    for (;;) {
      const here = leaf.bytes ?? kept.get(this.#prefix + leaf.start);
      if (here) return here;
      let coming = this.#coming.get(leaf.start);
      if (!coming) {
        // It was dropped from memory while the reader was elsewhere.
        this.#request([leaf], reader);
        coming = this.#coming.get(leaf.start);
      }
      const run = /** @type {Coming} */ (coming).run;
      try {
        return await /** @type {Coming} */ (coming).bytes;
      } catch (error) {
        signal?.throwIfAborted();
        // Another reader's cancelled request is no answer to this one.
        if (!run.control.signal.aborted) throw error;
      }
    }
  }

  /** @param {object} reader */
  #leave(reader) {
    for (const { run } of this.#coming.values()) {
      if (!run.readers.delete(reader) || run.readers.size > 0) continue;
      setTimeout(() => {
        if (run.readers.size === 0) run.control.abort();
      }, GRACE_MS);
    }
  }

  /**
   * @param {Leaf[]} leaves
   * @param {object} reader
   */
  #request(leaves, reader) {
    /** @type {Run} */
    const run = { control: new AbortController(), readers: new Set([reader]) };
    const waiting = leaves.map((leaf) => {
      /** @type {(bytes: Uint8Array) => void} */
      let resolve = () => {};
      /** @type {(error: unknown) => void} */
      let reject = () => {};
      const bytes = new Promise((/** @type {(bytes: Uint8Array) => void} */ good, bad) => {
        [resolve, reject] = [good, bad];
      });
      // The readers see the error. Without readers it is dropped.
      bytes.catch(() => {});
      const coming = { bytes, run };
      this.#coming.set(leaf.start, coming);
      const forget = () => {
        if (this.#coming.get(leaf.start) === coming) this.#coming.delete(leaf.start);
      };
      return {
        leaf,
        done: (/** @type {Uint8Array} */ found) => {
          kept.put(this.#prefix + leaf.start, found);
          if (this.fetched.length < MOST_TOLD) this.fetched.push([leaf.start, leaf.end]);
          forget();
          resolve(found);
        },
        fail: (/** @type {unknown} */ error) => {
          forget();
          reject(error);
        },
      };
    });
    void this.#fetch(waiting, run.control.signal);
  }

  /**
   * Fetches leaves that follow each other, from one gateway after the other.
   * @param {{ leaf: Leaf, done: (bytes: Uint8Array) => void, fail: (error: unknown) => void }[]} waiting
   * @param {AbortSignal} signal
   */
  async #fetch(waiting, signal) {
    while (waiting.length > 0) {
      const [start, end] = [waiting[0].leaf.start, waiting[waiting.length - 1].leaf.end];
      try {
        await this.gateways.ask('range', `no gateway gave bytes ${start} to ${end}`, signal, async (gateway) => {
          const from = waiting[0].leaf.start;
          /** @type {Uint8Array[]} */
          let parts = [];
          let length = 0;
          for await (let bytes of this.gateways.range(gateway, from, end, this, signal)) {
            while (bytes.length > 0) {
              const { leaf, done } = waiting[0];
              const taken = Math.min(bytes.length, leaf.end - leaf.start - length);
              parts.push(bytes.subarray(0, taken));
              length += taken;
              bytes = bytes.subarray(taken);
              if (length < leaf.end - leaf.start) continue;
              const whole = compact(parts, length);
              [parts, length] = [[], 0];
              if (!(await this.#isRight(leaf, whole, signal))) {
                throw forged(gateway, `bytes ${leaf.start} to ${leaf.end}`);
              }
              if (leaf.cid) gateway.proven += whole.length;
              waiting.shift();
              done(whole);
            }
          }
        });
      } catch (error) {
        // Ranges fail. A leaf is a block as well.
        const { leaf, done, fail } = /** @type {typeof waiting[0]} */ (waiting.shift());
        if (signal.aborted || !leaf.cid || !this.proof || !(error instanceof UnavailableError)) {
          fail(error);
          continue;
        }
        try {
          done(await this.proof.bytesByBlocks(leaf.cid, leaf.end - leaf.start, signal));
        } catch (second) {
          const problems = second instanceof UnavailableError ? second.problems : [];
          const what = `no gateway gave the right bytes ${leaf.start} to ${leaf.end}`;
          fail(new UnavailableError(what, [...problems, ...error.problems]));
        }
      }
    }
  }

  /**
   * Whether these are a leaf's bytes. What was taken for a leaf of dag-pb may be a small inner node; then
   * its blocks tell, so that no gateway is accused of a forgery that is none.
   * @param {Leaf} leaf
   * @param {Uint8Array} bytes
   * @param {AbortSignal} signal
   */
  async #isRight(leaf, bytes, signal) {
    if (await verifies(leaf, bytes)) return true;
    if (leaf.cid?.codec !== DAG_PB || !this.proof) return false;
    const right = await this.proof.bytesByBlocks(leaf.cid, bytes.length, signal);
    return bytes.every((byte, at) => byte === right[at]);
  }

  /** Drops what is in memory. */
  forget() {
    kept.dropAll(this.#prefix);
  }
}

/**
 * A leaf of its own memory: parts of an answer would keep the whole answer alive.
 * @param {Uint8Array[]} parts
 * @param {number} length
 */
function compact(parts, length) {
  const whole = joined(parts, length);
  return whole.byteLength === whole.buffer.byteLength ? whole : whole.slice();
}
