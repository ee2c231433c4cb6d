// The page: its start, and what the address bar says to show.

import { isCid } from '../lib/cid.js';
import { Engine } from '../lib/engine-client.js';
import { viewPath } from '../lib/view-protocol.js';
import { startViews } from '../lib/views.js';
import { ArchivePage } from './archive-page.js';
import { el, messageOf } from './dom.js';
import { Home } from './home.js';
import { parseRoute, routeHash, typedGateway, typedRoute } from './route.js';

/** @typedef {import('../lib/engine-client.js').EngineEvent} EngineEvent */

/**
 * What all parts of the page use.
 * @typedef {object} Services
 * @property {Engine} engine
 * @property {(location: string, path: string) => string | null} viewUrl the address of a file in this
 *   page; null where the browser allows no service worker
 * @property {string[]} ownGateways
 */

/**
 * @template {Element} T
 * @param {string} id
 * @returns {T}
 */
const byId = (id) => /** @type {T} */ (/** @type {unknown} */ (document.getElementById(id)));

/** @type {ArchivePage | null} */
let shown = null;
/** @type {string | null} */
let prefix = null;

const engine = new Engine(new URL('../lib/engine.js', import.meta.url), (/** @type {EngineEvent} */ event) => shown?.onEvent(event));

/** @type {Services} */
const services = {
  engine,
  viewUrl: (location, path) => (prefix === null ? null : viewPath(prefix, location, path)),
  ownGateways: [window.location.origin],
};

const home = new Home(services, byId('list'), byId('list-empty'));

function show() {
  const route = parseRoute(window.location.hash);
  const isHome = !route.location;
  byId('home').toggleAttribute('hidden', !isHome);
  byId('archive').toggleAttribute('hidden', isHome);
  if (isHome) {
    shown?.close();
    shown = null;
    document.title = 'aiozfs';
    void home.refresh();
    return;
  }
  if (shown?.isOf(route)) {
    void shown.select(route.path);
    return;
  }
  shown?.close();
  const isAddress = isCid(route.location) || /^https?:/i.test(route.location);
  shown = new ArchivePage(services, byId('archive'), route, home.nameOf(route.location));
  if (isAddress) void shown.open();
  else shown.fail(`'${route.location}' is neither a CID nor a URL`);
}

byId('open').addEventListener('submit', (event) => {
  event.preventDefault();
  /** @type {HTMLInputElement} */
  const location = byId('location');
  /** @type {HTMLInputElement} */
  const gateway = byId('gateway');
  if (!location.value.trim()) {
    location.focus();
    return;
  }
  const route = typedRoute(location.value);
  try {
    const typed = typedGateway(gateway.value);
    if (typed) route.gateways = [typed];
    gateway.setCustomValidity('');
  } catch {
    gateway.setCustomValidity('This is not the address of a gateway');
    gateway.reportValidity();
    return;
  }
  window.location.hash = routeHash(route);
});
byId('gateway').addEventListener('input', (event) => {
  /** @type {HTMLInputElement} */ (event.target).setCustomValidity('');
});

/** @param {string} text */
function notice(text) {
  const place = byId('notice');
  place.replaceChildren(el('span', {}, text));
  place.removeAttribute('hidden');
}

async function start() {
  const script = new URL('../lib/view-worker.js', import.meta.url).href;
  try {
    prefix = await startViews(script, '/', (request, port) => engine.answer(request, port));
  } catch (error) {
    notice(window.isSecureContext
      ? `Proven playback is not possible here: ${messageOf(error)}`
      : 'Browsers verify bytes only on pages from https or from localhost. This one is neither, so what it shows is not proven. Open it as http://localhost, or through https.');
  }
  await home.load();
  window.addEventListener('hashchange', show);
  show();
  const licences = await fetch('/web/dist/licences.txt', { method: 'HEAD' }).catch(() => null);
  if (licences?.ok) byId('licences').removeAttribute('hidden');
}

void start();
