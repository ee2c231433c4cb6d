// CIDs: names that are computed from content (https://github.com/multiformats/cid).
//
// Only what verification needs: version 0 in base58, version 1 in base32, base58 and base36, with
// SHA-256 or with the content itself ("identity"). The tests compare it with the package multiformats.

import { CidError } from './errors.js';

/** Codecs (https://github.com/multiformats/multicodec). */
export const RAW = 0x55;
export const DAG_PB = 0x70;

const SHA2_256 = 0x12;
const IDENTITY = 0;

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const BASE36 = '0123456789abcdefghijklmnopqrstuvwxyz';
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/**
 * @typedef {object} Cid
 * @property {0 | 1} version
 * @property {number} codec
 * @property {boolean} isInline whether `digest` is the content itself, not its hash
 * @property {Uint8Array} digest
 */

/**
 * The CID that a text is. Fails with a `CidError` if it is none, or cannot be verified.
 * @param {string} text
 * @returns {Cid}
 */
export function parseCid(text) {
  if (text.length > 512) throw new CidError('this is too long for a CID');
  if (text.startsWith('Qm')) return decodeCid(byLongDivision(text, BASE58));
  const rest = text.slice(1);
  switch (text[0]) {
    case 'b':
      return decodeCid(fromBase32(rest));
    case 'B':
      return decodeCid(fromBase32(rest.toLowerCase()));
    case 'k':
      return decodeCid(byLongDivision(rest, BASE36));
    case 'z':
      return decodeCid(byLongDivision(rest, BASE58));
    default:
      throw new CidError(`'${text}' is not a CID: those begin with Qm, b, k or z`);
  }
}

/**
 * Whether a text is a CID that can be verified.
 * @param {string} text
 */
export function isCid(text) {
  try {
    parseCid(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The CID of these bytes, as links of dag-pb have it.
 * @param {Uint8Array} bytes
 * @returns {Cid}
 */
export function decodeCid(bytes) {
  // Version 0 is a bare SHA-256 multihash.
  if (bytes.length === 34 && bytes[0] === SHA2_256 && bytes[1] === 32) {
    return { version: 0, codec: DAG_PB, isInline: false, digest: bytes.slice(2) };
  }
  let at = 0;
  const next = () => {
    const [value, end] = varint(bytes, at);
    at = end;
    return value;
  };
  const version = next();
  if (version !== 1) throw new CidError(`a CID has version 0 or 1, not ${version}`);
  const codec = next();
  const hash = next();
  const length = next();
  const digest = bytes.slice(at);
  if (digest.length !== length) throw new CidError('the CID is cut off, or has too many characters');
  if (hash !== IDENTITY && (hash !== SHA2_256 || length !== 32)) {
    throw new CidError('the CID has a hash other than SHA-256, which browsers cannot compute');
  }
  return { version, codec, isInline: hash === IDENTITY, digest };
}

/**
 * The text of a CID: base58 for version 0, else base32.
 * @param {Cid} cid
 */
export function cidText(cid) {
  const hash = cid.isInline ? IDENTITY : SHA2_256;
  const multihash = [...toVarint(hash), ...toVarint(cid.digest.length), ...cid.digest];
  if (cid.version === 0) return toBase58(multihash);
  return `b${toBase32([1, ...toVarint(cid.codec), ...multihash])}`;
}

/**
 * Whether these are the content that the CID names.
 * @param {Cid} cid
 * @param {Uint8Array} block
 */
export async function matches(cid, block) {
  const expected = cid.digest;
  const found = cid.isInline ? block : await sha256(block);
  return found.length === expected.length && found.every((byte, at) => byte === expected[at]);
}

/** @param {Uint8Array} bytes */
export async function sha256(bytes) {
  const digest = await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes));
  return new Uint8Array(digest);
}

/**
 * An unsigned varint (https://github.com/multiformats/unsigned-varint): its value and where it ends.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {[number, number]}
 */
export function varint(bytes, at) {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
    const byte = bytes[at];
    if (byte === undefined) throw new CidError('a number is cut off');
    at += 1;
    value += (byte & 127) * scale;
    if (byte < 128) {
      if (!Number.isSafeInteger(value)) break;
      return [value, at];
    }
  }
  throw new CidError('a number is too large');
}

/**
 * @param {number} value
 * @returns {number[]}
 */
export function toVarint(value) {
  const bytes = [];
  while (value >= 128) {
    bytes.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return bytes;
}

/** @param {string} text */
function fromBase32(text) {
  const bytes = [];
  let bits = 0;
  let held = 0;
  for (const character of text) {
    const value = BASE32.indexOf(character);
    if (value < 0) throw new CidError(`'${character}' does not occur in a CID in base32`);
    bits = (bits << 5) | value;
    held += 5;
    if (held >= 8) {
      held -= 8;
      bytes.push((bits >> held) & 255);
      bits &= (1 << held) - 1;
    }
  }
  if (bits !== 0 || held >= 5) throw new CidError('the CID is cut off');
  return Uint8Array.from(bytes);
}

/** @param {number[]} bytes */
function toBase32(bytes) {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    held += 8;
    while (held >= 5) {
      held -= 5;
      text += BASE32[(bits >> held) & 31];
      bits &= (1 << held) - 1;
    }
  }
  return held > 0 ? text + BASE32[(bits << (5 - held)) & 31] : text;
}

/**
 * A number in a base that is no power of two, as bytes. Leading zeroes stand for zero bytes.
 * @param {string} text
 * @param {string} alphabet
 */
function byLongDivision(text, alphabet) {
  /** @type {number[]} the least significant first */
  const bytes = [];
  for (const character of text) {
    let carry = alphabet.indexOf(character);
    if (carry < 0) throw new CidError(`'${character}' does not occur in a CID in base${alphabet.length}`);
    for (let at = 0; at < bytes.length; at += 1) {
      carry += bytes[at] * alphabet.length;
      bytes[at] = carry & 255;
      carry >>= 8;
    }
    while (carry > 0) {
      bytes.push(carry & 255);
      carry >>= 8;
    }
  }
  for (const character of text) {
    if (character !== alphabet[0]) break;
    bytes.push(0);
  }
  return Uint8Array.from(bytes.reverse());
}

/** @param {number[]} bytes */
function toBase58(bytes) {
  /** @type {number[]} */
  const digits = [];
  for (const byte of bytes) {
    let carry = byte;
    for (let at = 0; at < digits.length; at += 1) {
      carry += digits[at] << 8;
      digits[at] = carry % 58;
      carry = Math.floor(carry / 58);
    }
    while (carry > 0) {
      digits.push(carry % 58);
      carry = Math.floor(carry / 58);
    }
  }
  const zeroes = bytes.findIndex((byte) => byte !== 0);
  return '1'.repeat(Math.max(zeroes, 0)) + digits.reverse().map((digit) => BASE58[digit]).join('');
}
