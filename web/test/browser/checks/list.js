// The list of checks, and what most of them need.

/** Fails a check. */
export const expect = (what, holds) => {
  if (!holds) throw new Error(what);
};

/** Each with its name, in the order of the run. @type {[string, (world: any) => Promise<void>][]} */
export const checks = [];
export const check = (name, run) => checks.push([name, run]);

/** The fragment that opens `path` in an archive of the node, from `gateways` if there are any. */
export const hash = (world, archive, path = '', gateways = []) => {
  const query = gateways.map((gateway) => `gateway=${encodeURIComponent(gateway)}`).join('&');
  const names = path ? `/${path.split('/').map(encodeURIComponent).join('/')}` : '';
  return `#/${world.cid(archive)}${names}${query ? `?${query}` : ''}`;
};
