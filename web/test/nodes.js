// Nodes of trees, in dag-pb.

import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';

export const varint = (value) => {
  const bytes = [];
  let rest = BigInt(value);
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
};
export const field = (number, bytes) => [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];

export async function node(children) {
  const sum = children.reduce((sum, { size }) => sum + size, 0);
  const unixfs = [8, 2, 0x18, ...varint(sum), ...children.flatMap(({ size }) => [0x20, ...varint(size)])];
  const links = children.flatMap(({ cid }) => field(2, field(1, CID.parse(cid).bytes)));
  const block = Uint8Array.from([...links, ...field(1, unixfs)]);
  return { cid: CID.createV1(0x70, await sha256.digest(block)).toString(), block };
}
