// The nodes of UnixFS files, in dag-pb (https://ipld.io/specs/codecs/dag-pb/spec/ and
// https://specs.ipfs.tech/unixfs/).

import { DAG_PB, RAW, decodeCid, toVarint, varint } from './cid.js';
import { CidError } from './errors.js';

/** @typedef {import('./cid.js').Cid} Cid */

/**
 * A node of a file: its own bytes, then those of its children in order.
 * @typedef {object} FileNode
 * @property {Uint8Array} data
 * @property {{ cid: Cid, size: number }[]} children
 * @property {number} size of all of it
 */

/** Types of UnixFS nodes. */
const RAW_TYPE = 0;
const FILE_TYPE = 2;

/** Blocks are at most this long (trustless gateway specification, "Block size"). */
export const LONGEST_BLOCK = 2 * 1024 * 1024;

/**
 * The node in a block that was verified.
 * @param {Cid} cid
 * @param {Uint8Array} block
 * @returns {FileNode}
 */
export function fileNode(cid, block) {
  if (cid.codec === RAW) return { data: block, children: [], size: block.length };
  if (cid.codec !== DAG_PB) {
    throw new CidError('the CID is not that of a file: neither raw nor dag-pb');
  }
  /** @type {Cid[]} */
  const links = [];
  let unixfs = new Uint8Array();
  for (const [field, value] of fields(block)) {
    if (field === 1 && typeof value !== 'number') unixfs = value;
    if (field === 2 && typeof value !== 'number') links.push(link(value));
  }
  let type = -1;
  let size = 0;
  let data = new Uint8Array();
  /** @type {number[]} */
  const sizes = [];
  for (const [field, value] of fields(unixfs)) {
    if (field === 1 && typeof value === 'number') type = value;
    if (field === 2 && typeof value !== 'number') data = value;
    if (field === 3 && typeof value === 'number') size = value;
    if (field === 4) {
      if (typeof value === 'number') {
        sizes.push(value);
      } else {
        // Packed, as protocol buffers of version 3 write it.
        for (let at = 0; at < value.length; ) {
          const [one, end] = varint(value, at);
          sizes.push(one);
          at = end;
        }
      }
    }
  }
  if (type === 1 || type === 5) {
    throw new CidError('the CID names a directory; this page opens the CID of a file');
  }
  if (type !== RAW_TYPE && type !== FILE_TYPE) throw new CidError('the CID is not that of a file');
  if (sizes.length !== links.length) throw new CidError('a node of the file is damaged');
  const sum = sizes.reduce((sum, one) => sum + one, data.length);
  // Writers of leaves may leave the size out.
  if (sum !== size && !(size === 0 && links.length === 0)) {
    throw new CidError('the sizes in a node of the file contradict each other');
  }
  if (!Number.isSafeInteger(sum)) throw new CidError('the file is too large');
  return { data, size: sum, children: links.map((cid, at) => ({ cid, size: sizes[at] })) };
}

/**
 * The blocks that a leaf of these bytes may be. Writers use one of two types.
 * @param {Cid} cid
 * @param {Uint8Array} data
 * @returns {Uint8Array[]}
 */
export function leafBlocks(cid, data) {
  if (cid.codec !== DAG_PB) return [data];
  return [FILE_TYPE, RAW_TYPE].map((type) => {
    const size = toVarint(data.length);
    const head = data.length > 0 ? [8, type, 0x12, ...size] : [8, type];
    const tail = [0x18, ...size];
    const inner = toVarint(head.length + data.length + tail.length);
    const start = [0x0a, ...inner, ...head];
    const block = new Uint8Array(start.length + data.length + tail.length);
    block.set(start);
    block.set(data, start.length);
    block.set(tail, start.length + data.length);
    return block;
  });
}

/** @param {Uint8Array} bytes a PBLink */
function link(bytes) {
  for (const [field, value] of fields(bytes)) {
    if (field === 1 && typeof value !== 'number') return decodeCid(value);
  }
  throw new CidError('a link has no CID');
}

/**
 * The fields of a protocol buffer: varints as numbers, bytes as they are.
 * @param {Uint8Array} bytes
 * @returns {Generator<[number, number | Uint8Array<ArrayBuffer>]>}
 */
function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const [key, afterKey] = varint(bytes, at);
    const [value, afterValue] = varint(bytes, afterKey);
    const field = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        yield [field, value];
        at = afterValue;
        break;
      case 2:
        at = afterValue + value;
        if (at > bytes.length) throw new CidError('a node of the file is cut off');
        yield [field, /** @type {Uint8Array<ArrayBuffer>} */ (bytes.subarray(afterValue, at))];
        break;
      default:
        throw new CidError('a node of the file is damaged');
    }
  }
}
