// Answers views: requests of a service worker for files of open archives.

import { ArchiveError, UnavailableError } from './errors.js';
import { requestedRange } from './http-range.js';
import { mediaType } from './media-types.js';
import { rangeOf } from './playlists.js';

/** @typedef {import('./archive.js').Archive} Archive */
/** @typedef {import('./archive.js').Content} Content */
/** @typedef {import('./view-protocol.js').ViewRequest} ViewRequest */

/**
 * Answers one request through its port.
 * @param {Archive} archive
 * @param {ViewRequest} request
 * @param {MessagePort} port
 * @param {(error: Error) => void} [onTrouble] is told why bytes are missing
 */
export async function answerView(archive, request, port, onTrouble = () => {}) {
  const control = new AbortController();
  /** @type {AsyncIterator<Uint8Array> | undefined} */
  let bytes;
  /** @type {IteratorResult<Uint8Array> | undefined} read before the answer, which must not promise more than there is */
  let first;
  const send = async () => {
    try {
      const { value } = first ?? (await bytes?.next()) ?? { value: undefined };
      first = undefined;
      // A copy: the engine keeps its own for others.
      const copy = value ? value.slice() : null;
      port.postMessage({ type: 'bytes', bytes: copy }, copy ? [copy.buffer] : []);
      if (!copy) port.close();
    } catch (error) {
      fail(error);
    }
  };
  const fail = (/** @type {unknown} */ error) => {
    if (control.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof Error) onTrouble(error);
    port.postMessage({ type: 'error', message });
    port.close();
  };
  port.onmessage = ({ data }) => {
    if (data === 'more') void send();
    if (data === 'stop') {
      control.abort();
      port.close();
    }
  };
  const answer = (/** @type {number} */ status, /** @type {Record<string, string>} */ headers) => {
    port.postMessage({ type: 'answer', status, headers });
  };
  try {
    const content = await find(archive, request, control.signal);
    if (!content) {
      answer(404, { 'Content-Type': 'text/plain; charset=utf-8' });
      first = { value: new TextEncoder().encode(`the archive has no file ${request.path}\n`), done: false };
      return;
    }
    const part = requestedRange(request.range, content.size);
    const headers = headersOf(request, archive);
    if (part === 'none') {
      answer(416, { ...headers, 'Content-Range': `bytes */${content.size}` });
      return;
    }
    const { start, end } = part === 'whole' ? { start: 0, end: content.size } : part;
    headers['Content-Length'] = String(end - start);
    if (part !== 'whole') headers['Content-Range'] = `bytes ${start}-${end - 1}/${content.size}`;
    if (!request.isHead) {
      bytes = content.read(start, end, control.signal)[Symbol.asyncIterator]();
      first = await bytes.next();
    }
    answer(part === 'whole' ? 200 : 206, headers);
  } catch (error) {
    if (control.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof Error) onTrouble(error);
    const known = error instanceof UnavailableError || error instanceof ArchiveError;
    answer(known ? 502 : 500, { 'Content-Type': 'text/plain; charset=utf-8' });
    first = { value: new TextEncoder().encode(`${message}\n`), done: false };
    bytes = undefined;
  }
}

/**
 * The content that a request names: by a range link those bytes of the blob, as from a node, else the
 * file at the path.
 * @param {Archive} archive
 * @param {ViewRequest} request
 * @param {AbortSignal} signal
 * @returns {Promise<Content | null>}
 */
async function find(archive, request, signal) {
  const range = rangeOf(request.query);
  if (range) {
    const [start, end] = range;
    if (end > archive.blob.size) return null;
    return { size: end - start, read: (from, to, signal) => archive.blob.read(start + from, start + to, signal) };
  }
  const node = archive.tree.find(request.path);
  if (node === null || archive.tree.isDirectory(node)) return null;
  return archive.content(node, signal);
}

/**
 * @param {ViewRequest} request
 * @param {Archive} archive
 */
function headersOf(request, archive) {
  /** @type {Record<string, string>} */
  const headers = {
    'Content-Type': mediaType(request.path),
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // A document out of an archive has no rights here: no scripts, an origin of its own.
    'Content-Security-Policy': "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:",
    'X-Verified': archive.blob.isProven ? 'yes' : 'no',
  };
  if (new URLSearchParams(request.query).has('save')) {
    const name = request.path.slice(request.path.lastIndexOf('/') + 1);
    headers['Content-Type'] = 'application/octet-stream';
    headers['Content-Disposition'] = `attachment; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)}`;
  }
  return headers;
}
