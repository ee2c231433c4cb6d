// Archives for tests, written by Python's zipfile and by hand.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs a Python program that writes the archive at `path`, and reads it. */
export function byPython(program) {
  const folder = mkdtempSync(join(tmpdir(), 'aiozfs-web-'));
  const path = join(folder, 'a.zip');
  try {
    execFileSync('python3', ['-c', `import zipfile\npath = ${JSON.stringify(path)}\n${program}`]);
    return new Uint8Array(readFileSync(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const u16 = (value) => [value & 255, (value >> 8) & 255];
const u32 = (value) => [...u16(value & 65535), ...u16((value >>> 16) & 65535)];
const u64 = (value) => [...u32(Number(BigInt(value) & 0xffffffffn)), ...u32(Number(BigInt(value) >> 32n))];

/** A record of the central directory. */
export function record({ name, offset = 0, size = 0, host = 3, mode = 0o100644, flags = 0, method = 0, extra = [], date = 0x21, crc = 0 }) {
  const raw = typeof name === 'string' ? Buffer.from(name) : name;
  return [
    ...u32(0x02014b50), 20, host, ...u16(20), ...u16(flags), ...u16(method), ...u16(0), ...u16(date), ...u32(crc),
    ...u32(size), ...u32(size), ...u16(raw.length), ...u16(extra.length), ...u16(0), ...u16(0), ...u16(0),
    ...u32(mode * 65536), ...u32(offset), ...raw, ...extra,
  ];
}

export const zip64Extra = (...numbers) => [...u16(1), ...u16(numbers.length * 8), ...numbers.flatMap(u64)];

export function local({ name, size = 0 }) {
  const raw = Buffer.from(name);
  return [...u32(0x04034b50), ...u16(20), ...u16(0), ...u16(0), ...u32(0), ...u32(0), ...u32(size), ...u32(size), ...u16(raw.length), ...u16(0), ...raw];
}

export function eocd({ entries, size, offset, comment = [] }) {
  return [...u32(0x06054b50), ...u32(0), ...u16(entries), ...u16(entries), ...u32(size), ...u32(offset), ...u16(comment.length), ...comment];
}

export function eocd64({ entries, size, offset, at }) {
  return [
    ...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(entries), ...u64(entries), ...u64(size), ...u64(offset),
    ...u32(0x07064b50), ...u32(0), ...u64(at), ...u32(1),
    ...eocd({ entries: 65535, size: 0xffffffff, offset: 0xffffffff }),
  ];
}
