// The index of a ZIP: finds the central directory from the end of the blob, and reads its records
// (APPNOTE 6.3.10, whose sections the comments cite). ZIP64 included; no I/O.

import { ArchiveError } from './errors.js';
import { crc32 } from './crc32.js';
import { decodeName, isDirectoryName } from './zip-names.js';

const EOCD = 0x06054b50;
const EOCD_LEN = 22;
const LOCATOR = 0x07064b50;
const LOCATOR_LEN = 20;
const EOCD64 = 0x06064b50;
const EOCD64_LEN = 56;
const RECORD = 0x02014b50;
const RECORD_LEN = 46;
const LOCAL = 0x04034b50;
export const LOCAL_LEN = 30;
const SPLIT = 0x08074b50;

/** The end record lies within this many bytes of the end: itself and the longest comment (section 4.3.16). */
export const TAIL = EOCD_LEN + 0xffff;

/** A larger directory would need more memory than a page should take. */
const LONGEST_DIRECTORY = 512 * 1024 * 1024;

/**
 * Where the central directory lies.
 * @typedef {object} Directory
 * @property {number} start
 * @property {number} end
 * @property {number} entries announced; modulo 65,536 without ZIP64
 * @property {number} shift what to add to the offsets in it, if something was put before the archive
 */

/**
 * A file in the archive. `kind` is by the type in Unix attributes, else by the name.
 * @typedef {object} Entry
 * @property {string} name as stored
 * @property {Uint8Array} rawName
 * @property {boolean} isWindows
 * @property {'file' | 'dir' | 'symlink' | 'special'} kind
 * @property {number} method of compression: 0 is none, 8 is deflate
 * @property {boolean} isEncrypted
 * @property {number} size
 * @property {number} compressedSize
 * @property {number} crc32
 * @property {number} mtime in milliseconds since 1970, UTC
 * @property {number} headerOffset of the local header in the blob
 */

/** Reads little-endian numbers. */
class View {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @param {number} at */
  u16(at) {
    return this.data.getUint16(at, true);
  }

  /** @param {number} at */
  u32(at) {
    return this.data.getUint32(at, true);
  }

  /**
   * A number of 64 bits. JavaScript counts exactly to 2^53, which no archive reaches.
   * @param {number} at
   */
  u64(at) {
    const value = this.data.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new ArchiveError(`the archive is damaged: a number in it is ${value}`);
    }
    return Number(value);
  }
}

/**
 * Finds the central directory.
 *
 * The end record's signature may also occur in a comment, so a record counts only if its comment ends
 * where the blob ends and a directory can lie before it; of those the last one, as for unzip and
 * Python. Else the last record counts whose directory lies exactly where it says, because something
 * may have been appended.
 * @param {Uint8Array} tail the last bytes of the blob, at least `TAIL` unless it is shorter
 * @param {number} size of the blob
 * @returns {Directory}
 */
export function findDirectory(tail, size) {
  const view = new View(tail);
  const start = size - tail.length;
  const found = [];
  for (let at = tail.length - EOCD_LEN; at >= 0; at -= 1) {
    if (tail[at] !== 0x50 || view.u32(at) !== EOCD) continue;
    const directory = directoryAt(view, at, start);
    if (directory) found.push(directory);
  }
  const exact = found.filter((one) => one.isExact);
  const best = exact.find((one) => one.isStrict) ?? exact[0] ?? found.find((one) => one.isStrict);
  if (best?.needs64) {
    throw new ArchiveError('the archive is damaged: its ZIP64 record is missing');
  }
  if (!best) {
    if (tail.length >= 4 && view.u32(0) === SPLIT) {
      throw new ArchiveError('this is one part of a split archive');
    }
    throw new ArchiveError('this is not a ZIP archive, or its end is cut off');
  }
  if (best.end - best.start > LONGEST_DIRECTORY) {
    throw new ArchiveError('the index is too large for a page; use aiozfs mount');
  }
  return best;
}

/**
 * The directory of a possible end record; null if none could lie before it.
 * @param {View} view of the tail
 * @param {number} at
 * @param {number} start of the tail
 * @returns {(Directory & { isExact: boolean, isStrict: boolean, needs64: boolean }) | null}
 */
function directoryAt(view, at, start) {
  let entries = view.u16(at + 10);
  let length = view.u32(at + 12);
  let offset = view.u32(at + 16);
  let end = start + at;
  let needs64 = entries === 0xffff || length === 0xffffffff || offset === 0xffffffff;
  const isExact = at + EOCD_LEN + view.u16(at + 20) === view.bytes.length;
  if (at >= LOCATOR_LEN && view.u32(at - LOCATOR_LEN) === LOCATOR) {
    // Section 4.3.14: right before the locator, unless it has an extensible data sector.
    const said = view.u64(at - LOCATOR_LEN + 8) - start;
    const usual = at - LOCATOR_LEN - EOCD64_LEN;
    const place = [said, usual].find((at) => (
      at >= 0 && at + EOCD64_LEN <= view.bytes.length && view.u32(at) === EOCD64
    ));
    if (place !== undefined) {
      entries = view.u64(place + 32);
      length = view.u64(place + 40);
      offset = view.u64(place + 48);
      end = start + place;
      needs64 = false;
    }
  }
  const isStrict = offset + length === end;
  const shift = end - length - offset;
  if (!isStrict && shift < 0) return null;
  return { start: end - length, end, entries, shift, isExact, isStrict, needs64 };
}

/** The index: the bytes of the central directory, and where in them each record begins. */
export class Index {
  #view;
  #records;
  #shift;

  /**
   * @param {Uint8Array} bytes of the central directory
   * @param {Directory} directory
   */
  constructor(bytes, directory) {
    this.#view = new View(bytes);
    this.#shift = directory.shift;
    let records = new Uint32Array(1024);
    let count = 0;
    let at = 0;
    while (at + RECORD_LEN <= bytes.length && this.#view.u32(at) === RECORD) {
      if (count === records.length) {
        const larger = new Uint32Array(count * 2);
        larger.set(records);
        records = larger;
      }
      records[count] = at;
      count += 1;
      at += RECORD_LEN + this.#view.u16(at + 28) + this.#view.u16(at + 30) + this.#view.u16(at + 32);
    }
    if (at > bytes.length || count % 65536 !== directory.entries % 65536) {
      throw new ArchiveError(`the archive is damaged: its index has ${count} entries, and ${directory.entries} are announced`);
    }
    this.#records = records.subarray(0, count);
  }

  get length() {
    return this.#records.length;
  }

  /**
   * Everything about an entry.
   * @param {number} id the position in the central directory
   * @returns {Entry}
   */
  entry(id) {
    const view = this.#view;
    const at = this.#records[id];
    const nameEnd = at + RECORD_LEN + view.u16(at + 28);
    const numbers = [view.u32(at + 24), view.u32(at + 20), view.u32(at + 42)];
    const { mtime } = readExtra(view, nameEnd, nameEnd + view.u16(at + 30), view.u16(at + 14), numbers);
    return {
      name: this.name(id),
      rawName: view.bytes.subarray(at + RECORD_LEN, nameEnd),
      isWindows: this.isWindows(id),
      kind: this.kind(id),
      method: view.u16(at + 10),
      isEncrypted: (view.u16(at + 8) & 1) !== 0,
      size: numbers[0],
      compressedSize: numbers[1],
      crc32: view.u32(at + 16),
      mtime: mtime ?? dosTime(view.u16(at + 14), view.u16(at + 12)),
      headerOffset: numbers[2] + this.#shift,
    };
  }

  /**
   * An entry's name as it is stored.
   * @param {number} id
   */
  name(id) {
    const view = this.#view;
    const at = this.#records[id];
    const nameEnd = at + RECORD_LEN + view.u16(at + 28);
    const raw = view.bytes.subarray(at + RECORD_LEN, nameEnd);
    const extraLength = view.u16(at + 30);
    let unicode = null;
    if (extraLength > 0) unicode = readExtra(view, nameEnd, nameEnd + extraLength, 0, [0, 0, 0]).unicodePath;
    // A tool may have renamed the entry and left the field (section 4.6.9).
    const valid = unicode !== null && unicode.crc === crc32(raw) ? unicode.name : null;
    return decodeName(raw, (view.u16(at + 8) & (1 << 11)) !== 0, valid);
  }

  /**
   * Whether DOS or Windows wrote the entry (section 4.4.2).
   * @param {number} id
   */
  isWindows(id) {
    return isWindowsHost(this.#view.bytes[this.#records[id] + 5]);
  }

  /** @param {number} id */
  kind(id) {
    const view = this.#view;
    const at = this.#records[id];
    const host = view.bytes[at + 5];
    const last = view.bytes[at + RECORD_LEN + view.u16(at + 28) - 1];
    // Slash and backslash are the same in all encodings.
    const ends = last === 0x2f || (last === 0x5c && isWindowsHost(host));
    const isDirectoryByName = ends && isDirectoryName(this.name(id), isWindowsHost(host));
    return kindOf(host, view.u32(at + 38), isWindowsHost(host), isDirectoryByName);
  }

  /** @param {number} id */
  size(id) {
    const at = this.#records[id];
    const size = this.#view.u32(at + 24);
    return size === 0xffffffff ? this.entry(id).size : size;
  }
}

/** @param {number} host */
function isWindowsHost(host) {
  return host === 0 || host === 6 || host === 10 || host === 11 || host === 14;
}

/**
 * Where an entry's data begins, from its local header (section 4.3.7).
 * @param {Uint8Array} header the fixed part
 * @param {Entry} entry
 */
export function dataOffset(header, entry) {
  const view = new View(header);
  if (view.u32(0) !== LOCAL || view.u16(8) !== entry.method) {
    throw new ArchiveError('the archive is damaged: the header of this file contradicts the index');
  }
  return entry.headerOffset + LOCAL_LEN + view.u16(26) + view.u16(28);
}

/**
 * @param {number} host
 * @param {number} external
 * @param {boolean} isWindows
 * @param {boolean} isDirectoryByName
 * @returns {Entry['kind']}
 */
function kindOf(host, external, isWindows, isDirectoryByName) {
  const byName = isDirectoryByName || ((external & 0x10) !== 0 && isWindows) ? 'dir' : 'file';
  const mode = external >>> 16;
  if ((host !== 3 && host !== 19) || mode === 0) return byName;
  switch (mode & 0o170000) {
    case 0o040000:
      return 'dir';
    case 0o120000:
      return 'symlink';
    case 0o100000:
    case 0:
      return byName;
    default:
      return 'special';
  }
}

/**
 * The extra fields of a record (section 4.5). The ZIP64 field replaces numbers that are all ones.
 * @param {View} view
 * @param {number} at
 * @param {number} end
 * @param {number} date
 * @param {number[]} numbers size, compressed size, offset
 */
function readExtra(view, at, end, date, numbers) {
  /** @type {{ crc: number, name: Uint8Array } | null} */
  let unicodePath = null;
  /** @type {number | null} */
  let mtime = null;
  let precision = 0;
  const better = (/** @type {number} */ than, /** @type {number | null} */ time) => {
    if (time !== null && than > precision) [mtime, precision] = [time, than];
  };
  let had64 = false;
  while (at + 4 <= end) {
    const id = view.u16(at);
    const body = at + 4;
    const next = body + view.u16(at + 2);
    if (next > end) break;
    const length = next - body;
    if (id === 0x0001 && !had64) {
      had64 = true;
      readZip64(view, body, next, numbers);
    } else if (id === 0x7075 && unicodePath === null && length >= 5 && view.bytes[body] === 1) {
      unicodePath = { crc: view.u32(body + 1), name: view.bytes.subarray(body + 5, next) };
    } else if (id === 0x5455 && length >= 5 && (view.bytes[body] & 1) !== 0) {
      better(2, unixTime(view.u32(body + 1), date));
    } else if (id === 0x000a) {
      better(3, ntfsTime(view, body + 4, next));
    } else if ((id === 0x5855 || id === 0x000d) && length >= 8) {
      better(1, unixTime(view.u32(body + 4), date));
    }
    at = next;
  }
  return { unicodePath, mtime: /** @type {number | null} */ (mtime) };
}

/**
 * Section 4.5.3: only the numbers that are all ones in the record, in this order. Some writers put all
 * of them in; then the field is longer and repeats the record's.
 * @param {View} view
 * @param {number} at
 * @param {number} end
 * @param {number[]} numbers
 */
function readZip64(view, at, end, numbers) {
  let needed = numbers.filter((number) => number === 0xffffffff).length * 8;
  numbers.forEach((number, which) => {
    if (number === 0xffffffff) {
      if (at + 8 > end) throw new ArchiveError('the archive is damaged: a ZIP64 field is too short');
      numbers[which] = view.u64(at);
      needed -= 8;
      at += 8;
    } else if (end - at >= needed + 8 && view.data.getBigUint64(at, true) === BigInt(number)) {
      at += 8;
    }
  });
}

/**
 * Section 4.4.6, taken as UTC.
 * @param {number} date
 * @param {number} time
 */
function dosTime(date, time) {
  const clamp = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) => (
    Math.min(Math.max(value, low), high)
  );
  const month = clamp((date >> 5) & 15, 1, 12) - 1;
  const day = Math.max(date & 31, 1);
  const second = Math.min(time & 31, 29) * 2;
  return Date.UTC((date >> 9) + 1980, month, day, Math.min(time >> 11, 23), Math.min((time >> 5) & 63, 59), second);
}

/**
 * Seconds in 32 bits, signed; writers let them wrap after 2038, and the DOS date tells.
 * @param {number} seconds
 * @param {number} date
 */
function unixTime(seconds, date) {
  return ((date >> 9) + 1980 >= 2038 ? seconds : seconds | 0) * 1000;
}

/**
 * The NTFS field (section 4.5.5): in its first attribute the time in 100 ns since 1601.
 * @param {View} view
 * @param {number} at
 * @param {number} end
 */
function ntfsTime(view, at, end) {
  while (at + 4 <= end) {
    const length = view.u16(at + 2);
    if (view.u16(at) === 1 && length >= 8 && at + 12 <= end) {
      const ticks = view.data.getBigUint64(at + 4, true);
      return ticks === 0n ? null : Number(ticks / 10_000n) - 11_644_473_600_000;
    }
    at += 4 + length;
  }
  return null;
}
