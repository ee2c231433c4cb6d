// An archive in a blob: its tree, and the bytes of its files.

import { Blob } from './blob.js';
import { crc32 } from './crc32.js';
import { ArchiveError } from './errors.js';
import { Tree } from './tree.js';
import { Index, LOCAL_LEN, TAIL, dataOffset, findDirectory } from './zip-index.js';

/** @typedef {import('./zip-index.js').Entry} Entry */

/** The largest compressed file that is unpacked, in bytes: it is unpacked in memory as a whole. */
export const LONGEST_UNPACKED = 64 * 1024 * 1024;

/** The bytes at the end that hold the end records of ZIP64, too. */
const TAIL64 = TAIL + 76;

/** The most symbolic links that are followed from one to the next. */
const MOST_LINKS = 16;

/** Methods of compression (APPNOTE 6.3.10, section 4.4.5), for messages. */
const METHODS = new Map([[8, 'deflate'], [9, 'deflate64'], [12, 'bzip2'], [14, 'LZMA'], [93, 'Zstandard'], [95, 'XZ']]);

/**
 * The bytes of a file, or a part of them.
 * @typedef {object} Content
 * @property {number} size of the whole file
 * @property {(start: number, end: number, signal?: AbortSignal) => AsyncIterable<Uint8Array>} read
 */

export class Archive {
  /** @type {Map<number, number>} where the data of files begins */
  #offsets = new Map();
  /** The last compressed file. @type {{ node: number, bytes: Promise<Uint8Array> } | null} */
  #unpacked = null;

  /**
   * @param {Blob} blob
   * @param {Tree} tree
   * @param {{ start: number, end: number }} directory where the index lies
   */
  constructor(blob, tree, directory) {
    this.blob = blob;
    this.tree = tree;
    this.directory = directory;
  }

  /**
   * Opens the archive of a CID through gateways, or at a URL. Reads the end and the index, nothing else.
   * @param {string} location
   * @param {string[]} [gateways]
   * @param {{ onTraffic?: () => void, onProgress?: (done: number, all: number) => void }} [watch]
   */
  static async open(location, gateways = [], watch = {}) {
    return Archive.of(await Blob.open(location, gateways, watch.onTraffic), watch.onProgress);
  }

  /**
   * The archive in a blob.
   * @param {Blob} blob
   * @param {(done: number, all: number) => void} [onProgress]
   */
  static async of(blob, onProgress = () => {}) {
    const tail = await blob.bytes(Math.max(blob.size - TAIL64, 0), blob.size);
    const directory = findDirectory(tail, blob.size);
    const length = directory.end - directory.start;
    const bytes = await blob.bytes(directory.start, directory.end, undefined, (done) => onProgress(done, length));
    // What was fetched for a large index is not read again.
    if (length > 8 * 1024 * 1024) blob.forget();
    return new Archive(blob, new Tree(new Index(bytes, directory)), directory);
  }

  /**
   * Why a file cannot be read here; empty if it can.
   * @param {Entry} entry
   */
  static problem(entry) {
    if (entry.kind === 'special') return 'it is a device or a pipe';
    if (entry.isEncrypted) return 'it is encrypted';
    if (entry.method === 0) return '';
    const method = METHODS.get(entry.method) ?? `method ${entry.method}`;
    if (entry.method !== 8) return `it is compressed by ${method}, which browsers cannot unpack`;
    if (entry.size > LONGEST_UNPACKED || entry.compressedSize > LONGEST_UNPACKED) {
      return `it is compressed, and larger than ${LONGEST_UNPACKED / 1024 / 1024} MiB, the most that this page unpacks`;
    }
    return '';
  }

  /**
   * The range of the blob that holds a file's data, as it is stored.
   * @param {number} node
   * @param {AbortSignal} [signal]
   * @returns {Promise<[number, number]>}
   */
  async extent(node, signal) {
    const entry = this.#file(node);
    let offset = this.#offsets.get(node);
    if (offset === undefined) {
      const header = await this.blob.bytes(entry.headerOffset, entry.headerOffset + LOCAL_LEN, signal);
      offset = dataOffset(header, entry);
      this.#offsets.set(node, offset);
    }
    if (offset + entry.compressedSize > this.blob.size) {
      throw new ArchiveError('the archive is damaged: this file would end behind the end of the archive');
    }
    return [offset, offset + entry.compressedSize];
  }

  /**
   * A file's content. Symbolic links are followed.
   * @param {number} node
   * @param {AbortSignal} [signal]
   * @returns {Promise<Content>}
   */
  async content(node, signal) {
    const target = await this.follow(node, signal);
    const entry = this.#file(target);
    const problem = Archive.problem(entry);
    if (problem) throw new ArchiveError(`${this.tree.path(target)} cannot be read: ${problem}`);
    if (entry.method !== 0) {
      const bytes = await this.#unpack(target, entry);
      return { size: bytes.length, read: (start, end) => once(bytes.subarray(start, end)) };
    }
    const [start] = await this.extent(target, signal);
    return { size: entry.size, read: (from, to, signal) => this.blob.read(start + from, start + to, signal) };
  }

  /**
   * All bytes of a file.
   * @param {number} node
   * @param {number} most fails if it has more
   * @param {AbortSignal} [signal]
   */
  async bytes(node, most, signal) {
    const { size, read } = await this.content(node, signal);
    if (size > most) throw new ArchiveError(`the file is larger than ${most} bytes`);
    const whole = new Uint8Array(size);
    let at = 0;
    for await (const part of read(0, size, signal)) {
      whole.set(part, at);
      at += part.length;
    }
    const entry = this.#file(await this.follow(node, signal));
    if (!this.blob.isProven) checkCrc(entry, whole);
    return whole;
  }

  /**
   * What a symbolic link points to.
   * @param {number} node
   * @param {AbortSignal} [signal]
   */
  async linkTarget(node, signal) {
    const [start, end] = await this.extent(node, signal);
    const entry = this.#file(node);
    if (end - start > 4096 || entry.method !== 0 || entry.isEncrypted) {
      throw new ArchiveError('the target of this link cannot be read');
    }
    return new TextDecoder().decode(await this.blob.bytes(start, end, signal));
  }

  /**
   * The node that a chain of links ends at.
   * @param {number} node
   * @param {AbortSignal} [signal]
   */
  async follow(node, signal) {
    let at = node;
    for (let links = 0; this.tree.entry(at)?.kind === 'symlink'; links += 1) {
      const target = await this.linkTarget(at, signal);
      const next = links < MOST_LINKS ? this.#resolve(this.tree.parent(at), target) : null;
      if (next === null) throw new ArchiveError(`the link leads to '${target}', which is not in the archive`);
      at = next;
    }
    return at;
  }

  /**
   * @param {number} from a directory
   * @param {string} target
   */
  #resolve(from, target) {
    if (target.startsWith('/')) return null;
    const parts = this.tree.path(from).split('/').filter(Boolean);
    for (const part of target.split('/')) {
      if (part === '..') {
        if (parts.pop() === undefined) return null;
      } else if (part !== '' && part !== '.') parts.push(part);
    }
    return this.tree.find(parts.join('/'));
  }

  /** @param {number} node */
  #file(node) {
    const entry = this.tree.entry(node);
    if (!entry || entry.kind === 'dir') throw new ArchiveError('this is a directory');
    return entry;
  }

  /**
   * @param {number} node
   * @param {Entry} entry
   */
  #unpack(node, entry) {
    if (this.#unpacked?.node === node) return this.#unpacked.bytes;
    const bytes = this.#inflate(node, entry);
    const unpacked = { node, bytes };
    this.#unpacked = unpacked;
    bytes.catch(() => {
      if (this.#unpacked === unpacked) this.#unpacked = null;
    });
    return bytes;
  }

  /**
   * @param {number} node
   * @param {Entry} entry
   */
  async #inflate(node, entry) {
    const [start, end] = await this.extent(node);
    const packed = await this.blob.bytes(start, end);
    const stream = new Response(/** @type {BodyInit} */ (packed)).body;
    if (!stream) throw new ArchiveError('the browser cannot unpack');
    const reader = stream.pipeThrough(new DecompressionStream('deflate-raw')).getReader();
    const bytes = new Uint8Array(entry.size);
    let at = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (at + value.length > entry.size) break; // more than announced
        bytes.set(value, at);
        at += value.length;
      }
    } catch {
      at = -1;
    } finally {
      void reader.cancel().catch(() => {});
    }
    if (at !== entry.size) throw new ArchiveError('the archive is damaged: this file cannot be unpacked');
    checkCrc(entry, bytes);
    return bytes;
  }
}

/**
 * @param {Entry} entry
 * @param {Uint8Array} bytes
 */
function checkCrc(entry, bytes) {
  if (crc32(bytes) !== entry.crc32) {
    throw new ArchiveError('the bytes of this file do not match its checksum in the archive');
  }
}

/** @param {Uint8Array} bytes */
async function* once(bytes) {
  if (bytes.length > 0) yield bytes;
}
