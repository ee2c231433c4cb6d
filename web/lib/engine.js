// The engine: a worker that has the archives open, so that the page stays quick.
//
// The page posts `{ id, method, args }` and gets `{ id, result }` or `{ id, error }`; requests of the
// service worker arrive as `{ request }` with a port. `engine-client.js` is the page's side.

import { Archive } from './archive.js';
import { GatewayError, UnavailableError } from './errors.js';
import { mediaType, viewOf } from './media-types.js';
import { highlights } from './playlists.js';
import { answerView } from './view-server.js';

/** Events for the page come at most this often. */
const EVENT_MS = 150;

/** The most matches of a search. */
const MOST_FOUND = 5000;

/**
 * @typedef {object} Row one line of the tree, as it is shown
 * @property {number} node
 * @property {string} name
 * @property {'file' | 'dir' | 'symlink' | 'special'} kind
 * @property {number} size
 * @property {number | null} mtime
 * @property {number} children
 * @property {string} problem why it cannot be read; empty if it can
 */

/**
 * @typedef {object} Summary what the page knows of an open archive
 * @property {string} location
 * @property {number} size
 * @property {boolean} isProven
 * @property {string} unprovenBecause
 * @property {number} files
 * @property {number} length files and directories
 * @property {number} hidden
 * @property {number} total bytes of all files
 * @property {[number, number]} directory where the index lies
 * @property {string} blobUrl of the archive at the first gateway
 * @property {Record<keyof import('./playlists.js').Highlights, string | null>} highlights paths
 */

/**
 * @typedef {object} File
 * @property {number} node
 * @property {string} path
 * @property {string} name
 * @property {Row['kind']} kind
 * @property {number} size
 * @property {number} mtime
 * @property {string} problem
 * @property {number} method
 * @property {ReturnType<typeof viewOf>} view
 * @property {string} type
 */

/**
 * @typedef {object} Traffic
 * @property {import('./ranges.js').Share[]} shares
 * @property {[number, number][]} fetched ranges since the last call
 */

/** @type {Map<string, Promise<Archive>>} */
const archives = new Map();

/** The gateways that each was opened with. @type {Map<string, string>} */
const openedWith = new Map();

/** @type {Set<string>} archives with something new to tell */
const restless = new Set();

const scope = /** @type {{ postMessage: (message: unknown, transfer?: Transferable[]) => void, addEventListener: Function }} */ (
  /** @type {unknown} */ (self)
);

/** @param {string} location */
function onTraffic(location) {
  if (restless.size === 0) {
    setTimeout(() => {
      for (const one of restless) scope.postMessage({ event: 'traffic', location: one });
      restless.clear();
    }, EVENT_MS);
  }
  restless.add(location);
}

const methods = {
  /**
   * Opens an archive, once; with other gateways anew.
   * @param {string} location
   * @param {string[]} gateways
   * @returns {Promise<Summary>}
   */
  async open(location, gateways) {
    const from = gateways.join(' ');
    let opening = openedWith.get(location) === from ? archives.get(location) : undefined;
    if (!opening) {
      openedWith.set(location, from);
      let last = 0;
      opening = Archive.open(location, gateways, {
        onTraffic: () => onTraffic(location),
        onProgress: (done, all) => {
          if (Date.now() - last < EVENT_MS) return;
          last = Date.now();
          scope.postMessage({ event: 'progress', location, done, all });
        },
      });
      archives.set(location, opening);
      const failed = opening;
      failed.catch(() => {
        if (archives.get(location) === failed) archives.delete(location);
      });
    }
    const { blob, tree, directory } = await opening;
    const found = highlights(tree);
    const path = (/** @type {number | null} */ node) => (node === null ? null : tree.path(node));
    return {
      location,
      size: blob.size,
      isProven: blob.isProven,
      unprovenBecause: blob.unprovenBecause,
      files: tree.files,
      length: tree.length,
      hidden: tree.hidden,
      total: tree.size(0),
      directory: [directory.start, directory.end],
      blobUrl: blob.gateways.url,
      highlights: {
        playlist: path(found.playlist),
        video: path(found.video),
        cover: path(found.cover),
        thumbnails: path(found.thumbnails),
      },
    };
  },

  /** @param {string} location */
  close(location) {
    archives.delete(location);
  },

  /**
   * @param {string} location
   * @param {number} node a directory
   */
  async children(location, node) {
    const { tree } = await opened(location);
    return tree.children(node).slice();
  },

  /**
   * @param {string} location
   * @param {number[]} nodes
   * @returns {Promise<Row[]>}
   */
  async rows(location, nodes) {
    const { tree } = await opened(location);
    return nodes.map((node) => {
      const entry = tree.entry(node);
      const isDirectory = tree.isDirectory(node);
      return {
        node,
        name: tree.name(node),
        kind: entry?.kind ?? 'dir',
        size: tree.size(node),
        mtime: entry?.mtime ?? null,
        children: isDirectory ? tree.childCount(node) : 0,
        problem: entry && !isDirectory ? Archive.problem(entry) : '',
      };
    });
  },

  /**
   * @param {string} location
   * @param {number[]} nodes
   */
  async paths(location, nodes) {
    const { tree } = await opened(location);
    return nodes.map((node) => tree.path(node));
  },

  /**
   * @param {string} location
   * @param {string} text
   */
  async search(location, text) {
    const { tree } = await opened(location);
    return tree.search(text, MOST_FOUND);
  },

  /**
   * The directories above a path, from the root, and the node itself; empty if there is none.
   * @param {string} location
   * @param {string} path
   */
  async trail(location, path) {
    const { tree } = await opened(location);
    const node = tree.find(path);
    if (node === null) return [];
    const trail = [node];
    while (trail[0] !== 0) trail.unshift(tree.parent(trail[0]));
    return trail;
  },

  /**
   * @param {string} location
   * @param {number} node
   * @returns {Promise<File>}
   */
  async file(location, node) {
    const archive = await opened(location);
    const { tree } = archive;
    const entry = tree.entry(await archive.follow(node));
    if (!entry) throw new Error('this is a directory');
    const path = tree.path(node);
    const { kind, size, mtime, method } = entry;
    const [name, problem] = [tree.name(node), Archive.problem(entry)];
    return { node, path, name, kind, size, mtime, method, problem, view: viewOf(name), type: mediaType(name) };
  },

  /**
   * Where a file's data lies in the blob.
   * @param {string} location
   * @param {number} node
   */
  async extent(location, node) {
    const archive = await opened(location);
    return archive.extent(await archive.follow(node));
  },

  /**
   * All bytes of a small file.
   * @param {string} location
   * @param {number} node
   * @param {number} most
   */
  async bytes(location, node, most) {
    return (await opened(location)).bytes(node, most);
  },

  /**
   * The first bytes of a file.
   * @param {string} location
   * @param {number} node
   * @param {number} most
   */
  async head(location, node, most) {
    const { size, read } = await (await opened(location)).content(node);
    const length = Math.min(size, most);
    const bytes = new Uint8Array(length);
    let at = 0;
    for await (const part of read(0, length)) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  },

  /**
   * @param {string} location
   * @returns {Promise<Traffic>}
   */
  async traffic(location) {
    const { blob } = await opened(location);
    return { shares: blob.gateways.shares(), fetched: blob.fetched.splice(0) };
  },

  /** @param {string} location */
  async forgive(location) {
    (await archives.get(location))?.blob.gateways.forgive();
  },
};

/** @typedef {typeof methods} Methods */

/** @param {string} location */
async function opened(location) {
  const archive = archives.get(location);
  if (!archive) throw new Error('this archive is not open');
  return archive;
}

scope.addEventListener('message', async (/** @type {MessageEvent} */ { data, ports }) => {
  if (data.request) {
    const { request } = data;
    const archive = await archives.get(request.location)?.catch(() => undefined);
    if (!archive) {
      ports[0].postMessage({ type: 'not-here' });
      return;
    }
    void answerView(archive, request, ports[0], (error) => {
      scope.postMessage({ event: 'trouble', location: request.location, path: request.path, ...said(error) });
    });
    return;
  }
  const { id, method, args } = data;
  try {
    const call = /** @type {Function} */ (methods[/** @type {keyof Methods} */ (method)]);
    scope.postMessage({ id, result: await call(...args) });
  } catch (error) {
    scope.postMessage({ id, error: said(error) });
  }
});

/** @param {unknown} error */
function said(error) {
  const message = error instanceof Error ? error.message : String(error);
  const isForged = error instanceof UnavailableError ? error.isForged : error instanceof GatewayError && error.fault === 'forged';
  return { message, isForged };
}
