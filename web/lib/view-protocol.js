// How a service worker has views answered: it knows nothing of archives, passes each request on to a
// page, and gets the answer through a port.
//
// So the service worker, which browsers end and start as they like, has no state; index, proof and
// statistics are in one place, the page's engine.

/**
 * What the service worker passes on, with the port for the answer.
 * @typedef {object} ViewRequest
 * @property {'view'} type
 * @property {string} location the CID or URL of the archive
 * @property {string} path in the archive
 * @property {string} query
 * @property {string | null} range
 * @property {boolean} isHead
 */

/**
 * The answer comes first, then bytes, one message each time the worker posts 'more', then null. 'stop'
 * says that nobody reads any more.
 * @typedef {{ type: 'answer', status: number, headers: Record<string, string> }
 *   | { type: 'bytes', bytes: Uint8Array | null }
 *   | { type: 'error', message: string }
 *   | { type: 'not-here' }} ViewMessage
 */

/**
 * The path of a file's view below the prefix.
 * @param {string} prefix as `/view/`
 * @param {string} location
 * @param {string} path
 */
export function viewPath(prefix, location, path) {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return `${prefix}${encodeURIComponent(location)}/${encoded}`;
}
