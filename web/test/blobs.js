// Blobs for tests: hash trees over bytes that may be made up as they are read, and gateways that serve
// them and misbehave as they are told.

import { createServer } from 'node:http';
import { webcrypto } from 'node:crypto';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { sha256 } from 'multiformats/hashes/sha2';
import { field, varint } from './nodes.js';

// Node 18 has it under this name only.
globalThis.crypto ??= /** @type {any} */ (webcrypto);

const number = (field, value) => [...varint(field * 8), ...varint(value)];

async function cidOf(block, codec, version) {
  const hash = await sha256.digest(block);
  return version === 0 ? CID.createV0(Digest.create(hash.code, hash.digest)) : CID.createV1(codec, hash);
}

/**
 * The tree of a blob as UnixFS writers make it.
 * @returns the CID, and all blocks
 */
export async function tree({ size, read }, { leaf = 1024, width = 4, rawLeaves = true, version = 1, pad = true } = {}) {
  const blocks = new Map();
  let level = [];
  for (let at = 0; at < size || level.length === 0; at += leaf) {
    const bytes = read(at, Math.min(at + leaf, size));
    let block = bytes;
    if (!rawLeaves) {
      const data = [...number(1, 2), ...(bytes.length ? field(2, bytes) : []), ...number(3, bytes.length)];
      block = Uint8Array.from(field(1, data));
    }
    const cid = await cidOf(block, rawLeaves ? 0x55 : 0x70, version);
    blocks.set(cid.toString(), block);
    level.push({ cid, size: bytes.length });
  }
  while (level.length > 1) {
    const next = [];
    for (let at = 0; at < level.length; at += width) {
      const children = level.slice(at, at + width);
      const sum = children.reduce((sum, child) => sum + child.size, 0);
      if (children.length === 1 && !pad) {
        next.push(children[0]);
        continue;
      }
      const unixfs = [...number(1, 2), ...number(3, sum), ...children.flatMap((child) => number(4, child.size))];
      const links = children.flatMap(({ cid, size }) => field(2, [...field(1, cid.bytes), ...field(2, []), ...number(3, size)]));
      const block = Uint8Array.from([...links, ...field(1, unixfs)]);
      const cid = await cidOf(block, 0x70, version);
      blocks.set(cid.toString(), block);
      next.push({ cid, size: sum });
    }
    level = next;
  }
  return { cid: level[0].cid.toString(), blocks };
}

export const blobOf = (bytes) => ({ size: bytes.length, read: (start, end) => bytes.subarray(start, end) });

/** Bytes that look random and are the same each time. */
export function noise(length, seed = 1) {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/**
 * A gateway. `behaviour` may be changed at any time:
 * `flip` forges this byte of ranges, `flipBlocks` all blocks, `noBlocks` and `noRanges` refuse with a
 * status, `wholeFile` ignores ranges, `hang` never answers, `delay` sends ranges after some milliseconds, `down` breaks connections.
 */
export async function gateway(blob, blocks, behaviour = {}) {
  const seen = { ranges: [], blocks: 0 };
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://x');
    if (behaviour.down) return request.socket.destroy();
    if (behaviour.hang) return undefined;
    response.setHeader('Access-Control-Allow-Origin', '*');
    if (url.searchParams.get('format') === 'raw') {
      seen.blocks += 1;
      const block = blocks.get(url.pathname.split('/')[2]);
      if (behaviour.noBlocks || !block) return response.writeHead(behaviour.noBlocks ?? 404).end();
      const sent = Buffer.from(block);
      if (behaviour.flipBlocks) sent[sent.length >> 1] ^= 1;
      return response.end(sent);
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (behaviour.noRanges) return response.writeHead(behaviour.noRanges).end();
    if (!range || behaviour.wholeFile) return response.end('the whole file');
    const [start, end] = [Number(range[1]), Number(range[2]) + 1];
    seen.ranges.push([start, end]);
    const body = Buffer.from(blob.read(start, end));
    if (behaviour.flip >= start && behaviour.flip < end) body[behaviour.flip - start] ^= 1;
    const shown = behaviour.otherRange ? start + 1 : start;
    response.writeHead(206, { 'Content-Range': `bytes ${shown}-${end - 1}/${blob.size}`, 'Content-Length': body.length });
    if (behaviour.delay) {
      setTimeout(() => response.end(body), behaviour.delay);
      return undefined;
    }
    if (behaviour.cut && body.length > behaviour.cut) {
      response.write(body.subarray(0, behaviour.cut));
      setTimeout(() => request.socket.destroy(), 20);
      return undefined;
    }
    return response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    base: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    seen,
    behaviour,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export async function all(iterable) {
  const parts = [];
  for await (const part of iterable) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
