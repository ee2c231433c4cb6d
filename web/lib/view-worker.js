// The service worker: answers `<scope>view/<location>/<path>` with what a page's engine gives.
//
// A classic script without imports, because not all browsers start modules as service workers, and
// without state, because they end it at any time. See view-protocol.js.

(() => {
  /** @typedef {import('./view-protocol.js').ViewMessage} ViewMessage */

  /**
   * @typedef {Event & { waitUntil: (work: Promise<unknown>) => void }} LifeEvent
   * @typedef {LifeEvent & { request: Request, clientId: string, respondWith: (answer: Promise<Response>) => void }} FetchEvent
   * @typedef {{ id: string, type: string, postMessage: (message: unknown, transfer: Transferable[]) => void }} Client
   * @typedef {object} Worker
   * @property {{ scope: string }} registration
   * @property {{ claim: () => Promise<void>, get: (id: string) => Promise<Client | undefined>, matchAll: (options: object) => Promise<Client[]> }} clients
   * @property {() => Promise<void>} skipWaiting
   * @property {(type: string, listener: (event: any) => void) => void} addEventListener
   */
  const worker = /** @type {Worker} */ (/** @type {unknown} */ (self));

  /** How long a page may take to begin. Its own requests end sooner. */
  const PATIENCE_MS = 60_000;

  worker.addEventListener('install', (/** @type {LifeEvent} */ event) => event.waitUntil(worker.skipWaiting()));
  worker.addEventListener('activate', (/** @type {LifeEvent} */ event) => event.waitUntil(worker.clients.claim()));
  worker.addEventListener('message', (/** @type {LifeEvent & { data: unknown }} */ event) => {
    // A page that was reloaded past the service worker wants it back.
    if (event.data === 'claim') event.waitUntil(worker.clients.claim());
  });

  worker.addEventListener('fetch', (/** @type {FetchEvent} */ event) => {
    const prefix = new URL('view/', worker.registration.scope);
    const url = new URL(event.request.url);
    if (url.origin !== prefix.origin || !url.pathname.startsWith(prefix.pathname)) return;
    const [location, ...path] = url.pathname.slice(prefix.pathname.length).split('/').map(decoded);
    const request = {
      type: 'view',
      location,
      path: path.join('/'),
      query: url.search,
      range: event.request.headers.get('Range'),
      isHead: event.request.method === 'HEAD',
    };
    const answer = ['GET', 'HEAD'].includes(event.request.method)
      ? view(request, event.clientId)
      : Promise.resolve(new Response('views are read-only\n', { status: 405 }));
    event.respondWith(answer);
  });

  /**
   * @param {object} request
   * @param {string} clientId of the page that asks; empty for a new document
   */
  async function view(request, clientId) {
    const asking = clientId ? await worker.clients.get(clientId) : undefined;
    const pages = await worker.clients.matchAll({ type: 'window' });
    const others = pages.filter((page) => page.id !== clientId);
    for (const page of [asking, ...others]) {
      const answer = page && (await ask(page, request));
      if (answer) return answer;
    }
    return new Response('This archive is open in no page. Open it there first.\n', {
      status: 404,
      headers: { 'Content-Type': 'text/plain; charset=utf-8' },
    });
  }

  /**
   * The page's answer; null if it does not have the archive.
   * @param {Client} page
   * @param {object} request
   * @returns {Promise<Response | null>}
   */
  function ask(page, request) {
    const { port1: port, port2 } = new MessageChannel();
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        port.postMessage('stop');
        resolve(new Response('the page does not answer\n', { status: 504 }));
      }, PATIENCE_MS);
      /** @type {ReadableStreamDefaultController<Uint8Array> | undefined} */
      let stream;
      port.onmessage = (event) => {
        /** @type {ViewMessage} */
        const message = event.data;
        clearTimeout(late);
        switch (message.type) {
          case 'not-here':
            resolve(null);
            break;
          case 'answer': {
            const { status, headers } = message;
            const body = new ReadableStream({
              start: (controller) => {
                stream = controller;
              },
              pull: () => port.postMessage('more'),
              cancel: () => {
                // The stream is closed: bytes that arrive late are dropped.
                stream = undefined;
                port.postMessage('stop');
              },
            }, { highWaterMark: 0 });
            resolve(new Response(body, { status, headers }));
            break;
          }
          case 'bytes':
            if (message.bytes) stream?.enqueue(message.bytes);
            else stream?.close();
            break;
          case 'error':
            if (stream) stream.error(new TypeError(message.message));
            else resolve(new Response(`${message.message}\n`, { status: 502 }));
        }
      };
      page.postMessage(request, [port2]);
    });
  }

  /** @param {string} part */
  function decoded(part) {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  }
})();
