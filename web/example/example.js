// The whole of it: open an archive, list it, and play a file of it, from any gateway.

import { Engine, startViews, viewPath } from '../lib/index.js';

const query = new URLSearchParams(location.search);
const [cid, path, gateways] = [query.get('cid'), query.get('path'), query.getAll('gateway')];
const said = document.getElementById('said');

try {
  const engine = new Engine(new URL('../lib/engine.js', import.meta.url));
  // The server must send `Service-Worker-Allowed: /` with the script, or the script must lie at the top.
  const prefix = await startViews('../lib/view-worker.js', '/', (request, port) => engine.answer(request, port));
  const summary = await engine.call('open', cid, gateways);
  said.textContent = `${summary.files} files, ${summary.isProven ? 'verified' : 'not proven'}`;
  const nodes = await engine.call('children', cid, 0);
  for (const { name } of await engine.call('rows', cid, [...nodes])) {
    const item = document.createElement('li');
    item.textContent = name;
    document.getElementById('files').append(item);
  }
  if (path) document.getElementById('film').src = viewPath(prefix, cid, path);
} catch (error) {
  said.textContent = error.message;
}
