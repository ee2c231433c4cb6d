// An archive of a tebibyte, with a CID, that is made up as it is read.

import { gateway } from '../blobs.js';
import { node } from '../nodes.js';
import { eocd64, local, record, zip64Extra } from '../zips.js';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';

const [MIB, GIB] = [2 ** 20, 2 ** 30];

/** Leaves of 1 MiB, 1,024 to a node; all but the last are zeroes. */
export async function sparseGateway() {
  const content = Buffer.from('hello from a tebibyte');
  const name = 'far/hello.txt';
  const offset = 1024 * GIB - MIB + 100;
  const header = local({ name, size: content.length });
  const start = offset + header.length + content.length;
  const directory = record({ name, size: content.length, offset: 0xffffffff, extra: zip64Extra(offset) });
  const end = eocd64({ entries: 1, size: directory.length, offset: start, at: start + directory.length });
  const last = new Uint8Array(MIB);
  last.set([...header, ...content, ...directory, ...end], 100);
  const lastSize = 100 + header.length + content.length + directory.length + end.length;
  const size = 1024 * GIB - MIB + lastSize;
  const zeroes = new Uint8Array(MIB);
  const read = (from, to) => {
    const bytes = new Uint8Array(to - from);
    const at = 1024 * GIB - MIB;
    if (to > at) bytes.set(last.subarray(Math.max(from - at, 0), to - at), Math.max(at - from, 0));
    return bytes;
  };
  const leaf = async (bytes) => CID.createV1(0x55, await sha256.digest(bytes)).toString();
  const children = new Array(1024).fill({ cid: await leaf(zeroes), size: MIB });
  const gib = await node(children);
  const lastGib = await node([...children.slice(1), { cid: await leaf(last.subarray(0, lastSize)), size: lastSize }]);
  const rest = GIB - MIB + lastSize;
  const root = await node([...new Array(1023).fill({ cid: gib.cid, size: GIB }), { cid: lastGib.cid, size: rest }]);
  const blocks = new Map([gib, lastGib, root].map(({ cid, block }) => [cid, block]));
  return { ...(await gateway({ size, read }, blocks)), cid: root.cid };
}
