// Addresses in the page: `#/`, `#/<cid>`, `#/<cid>/<path>`, with `?gateway=<URL>`, which may occur more
// than once; `#/<URL>` for an archive without a CID.

/**
 * @typedef {object} Route
 * @property {string} location a CID or a URL; empty for the start page
 * @property {string} path of a file in the archive, or empty
 * @property {string[]} gateways
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const text = hash.replace(/^#\/?/, '');
  if (/^https?:\/\//i.test(text)) return { location: text, path: '', gateways: [] };
  const [address, query = ''] = splitOnce(text, '?');
  const [location, path = ''] = splitOnce(address, '/');
  return {
    location: decoded(location),
    path: path.split('/').map(decoded).join('/'),
    gateways: new URLSearchParams(query).getAll('gateway').filter(Boolean),
  };
}

/** @param {Route} route */
export function routeHash({ location, path, gateways }) {
  if (!location) return '#/';
  const names = path ? `/${path.split('/').map(encodeURIComponent).join('/')}` : '';
  const query = new URLSearchParams(gateways.map((gateway) => ['gateway', gateway]));
  return `#/${encodeURIComponent(location)}${names}${gateways.length ? `?${query}` : ''}`;
}

/**
 * What a person typed: a CID, an `ipfs://` address, a gateway's URL with `/ipfs/<cid>`, or a URL.
 * @param {string} text
 * @returns {Route}
 */
export function typedRoute(text) {
  const typed = text.trim();
  const scheme = /^ipfs:\/\/([^/?#]+)/i.exec(typed);
  if (scheme) return { location: scheme[1], path: '', gateways: [] };
  const gateway = /^(https?:\/\/[^/]+)\/ipfs\/([^/?#]+)/i.exec(typed);
  if (gateway) return { location: gateway[2], path: '', gateways: [gateway[1]] };
  return { location: typed, path: '', gateways: [] };
}

/**
 * The address of a gateway that a person typed.
 * @param {string} text
 */
export function typedGateway(text) {
  const typed = text.trim();
  if (!typed) return '';
  const isLocal = /^(localhost|127\.|\[::1\]|10\.|192\.168\.)/.test(typed);
  const url = /^https?:\/\//i.test(typed) ? typed : `${isLocal ? 'http' : 'https'}://${typed}`;
  new URL(url.replace('{cid}', 'cid')); // fails if it is none
  return url.replace(/\/+$/, '').replace(/\/ipfs$/, '');
}

/**
 * @param {string} text
 * @param {string} separator
 */
function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
