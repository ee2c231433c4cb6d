// The page's side of views: starts the service worker, and gives its requests to who answers them.

/** @typedef {import('./view-protocol.js').ViewRequest} ViewRequest */

/** How long a browser may take to give this page to the service worker. */
const CONTROL_MS = 10_000;

/**
 * Starts the service worker, so that `<scope>view/<location>/<path>` are addresses of files in this
 * page. Ends when they are, with the prefix for `viewPath`.
 *
 * Fails where browsers allow no service worker: pages that are not from https or localhost, and some
 * private windows.
 * @param {string} script the URL of view-worker.js
 * @param {string} scope a path that this page is below, as `/`
 * @param {(request: ViewRequest, port: MessagePort) => void} answer
 * @returns {Promise<string>}
 */
export async function startViews(script, scope, answer) {
  const container = navigator.serviceWorker;
  if (!container) {
    throw new Error('this browser allows no service worker here: the page must come from https or from localhost');
  }
  container.addEventListener('message', ({ data, ports }) => {
    if (data?.type === 'view' && ports[0]) answer(data, ports[0]);
  });
  container.startMessages();
  const registration = await container.register(script, { scope, updateViaCache: 'none' });
  await controlled(container, registration);
  return new URL('view/', new URL(scope, location.href)).pathname;
}

/**
 * @param {ServiceWorkerContainer} container
 * @param {ServiceWorkerRegistration} registration
 */
async function controlled(container, registration) {
  if (container.controller) return;
  const changed = new Promise((resolve, reject) => {
    container.addEventListener('controllerchange', resolve, { once: true });
    setTimeout(() => reject(new Error('the service worker does not start')), CONTROL_MS);
  });
  registration.active?.postMessage('claim');
  if (!container.controller) await changed;
}
