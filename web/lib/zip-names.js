// From an entry's stored name to the path in the tree: the rules of `aiozfs mount`.

/** The upper half of CP437 (APPNOTE 6.3.10, appendix D). */
const CP437 = 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Linux allows components of this many bytes, and paths of this many in all. */
const LONGEST_PART = 255;
const LONGEST_PATH = 4095;

/**
 * The name as text. Without the UTF-8 flag it is UTF-8 if it is valid, else CP437.
 * @param {Uint8Array} raw
 * @param {boolean} isUtf8
 * @param {Uint8Array | null} unicodePath of the field 0x7075, which was compared with the name
 */
export function decodeName(raw, isUtf8, unicodePath) {
  if (unicodePath && !isUtf8) return utf8.decode(unicodePath);
  const ascii = decodeAscii(raw);
  if (ascii !== null) return ascii;
  if (isUtf8) return utf8.decode(raw);
  try {
    return strict.decode(raw);
  } catch {
    return Array.from(raw, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128])).join('');
  }
}

/**
 * Most names are short and ASCII, for which a decoder is slow to call.
 * @param {Uint8Array} raw
 */
function decodeAscii(raw) {
  if (raw.length > 256) return null;
  for (let at = 0; at < raw.length; at += 1) {
    if (raw[at] > 127) return null;
  }
  return String.fromCharCode.apply(null, /** @type {any} */ (raw));
}

/**
 * Whether the name is a directory's.
 * @param {string} name
 * @param {boolean} isWindows whether the writer was DOS or Windows
 */
export function isDirectoryName(name, isWindows) {
  return name.endsWith('/') || (isWindows && name.endsWith('\\') && !name.includes('/'));
}

/**
 * The path in the tree, without a leading slash; empty for the root. Null if the entry is hidden, because
 * its name leads out of the archive or cannot exist on Linux.
 * @param {string} name
 * @param {boolean} isWindows
 * @returns {string | null}
 */
export function treePath(name, isWindows) {
  if (name.includes('\0')) return null;
  const separator = isWindows && !name.includes('/') ? '\\' : '/';
  let rest = name;
  if (name[1] === ':' && name[2] === separator && /^[a-z]/i.test(name)) rest = name.slice(2);
  const clean = separator === '/' && !/(^|\/)(\.{0,2})(\/|$)/.test(rest);
  const parts = clean ? null : rest.split(separator).filter((part) => part !== '' && part !== '.');
  if (parts?.includes('..')) return null;
  const path = parts ? parts.join('/') : rest;
  // A character has at most three bytes for each unit of a string.
  if (path.length * 3 > LONGEST_PART) {
    const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text).length;
    if (bytes(path) > LONGEST_PATH) return null;
    if (path.split('/').some((part) => bytes(part) > LONGEST_PART)) return null;
  }
  return path;
}
