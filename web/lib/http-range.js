// The Range header (RFC 9110, section 14), for answers that a service worker makes.

/**
 * The part of `size` bytes that a header asks for: `whole` without one, or one that is invalid or asks
 * for several; `none` if it lies behind the end.
 * @param {string | null} header
 * @param {number} size
 * @returns {{ start: number, end: number } | 'whole' | 'none'}
 */
export function requestedRange(header, size) {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return 'whole';
  if (match[1] === '') {
    const count = Math.min(Number(match[2]), size);
    return count > 0 ? { start: size - count, end: size } : 'none';
  }
  const start = Number(match[1]);
  const last = match[2] === '' ? Infinity : Number(match[2]);
  if (last < start) return 'whole';
  if (start >= size) return 'none';
  return { start, end: Math.min(last + 1, size) };
}
