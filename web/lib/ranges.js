// Ranges and raw blocks of a blob, from any of several gateways.
//
// No gateway is trusted: an answer counts only if it is exactly the range that was asked for. A gateway that
// fails is set aside for a while, and the next one is asked.

import { cidText, matches } from './cid.js';
import { GatewayError, UnavailableError } from './errors.js';

/** @typedef {import('./cid.js').Cid} Cid */
/** @typedef {'range' | 'block'} Form what is asked for: gateways may be good for one of them only */

/** A gateway that sends no byte for this long has stalled. */
const STALL_MS = 8000;

/** How long a request is repeated before it fails. */
export const PATIENCE_MS = 20_000;

/** The same, while no gateway has sent a byte: the address is probably wrong, and a person waits. */
const FIRST_PATIENCE_MS = 4000;

/** A failed gateway rests for this long, doubled by each further failure. */
const REST_MS = 250;
const LONGEST_REST_MS = 10_000;

/** A gateway that said no, or lied, is not asked again for this long. */
const REFUSED_MS = 60_000;
const FORGED_MS = 300_000;

/**
 * What one gateway has sent, for people to see.
 * @typedef {object} Share
 * @property {string} name
 * @property {number} requests
 * @property {number} bytes
 * @property {number} proven bytes of them that were verified against the CID
 * @property {string} problem its last failure, or empty
 */

/** One gateway, or one URL. */
class Gateway {
  requests = 0;
  bytes = 0;
  proven = 0;
  problem = '';
  /** @type {Record<Form, { until: number, failures: number, error: GatewayError | null }>} */
  rest = {
    range: { until: 0, failures: 0, error: null },
    block: { until: 0, failures: 0, error: null },
  };

  /**
   * @param {string} name for messages: its host
   * @param {string} url of the blob there
   * @param {((cid: string) => string) | null} blockUrl of raw blocks; null if it has none
   */
  constructor(name, url, blockUrl) {
    this.name = name;
    this.url = url;
    this.blockUrl = blockUrl;
  }
}

/** The gateways of one blob. */
export class Gateways {
  /** @type {Gateway[]} the one that is asked first comes first */
  #gateways;
  #onTraffic;

  /**
   * @param {Gateway[]} gateways
   * @param {() => void} onTraffic is called after something was sent
   */
  constructor(gateways, onTraffic = () => {}) {
    this.#gateways = gateways;
    this.#onTraffic = onTraffic;
  }

  /**
   * Gateways of a CID. Each is the address of a gateway, as `https://host`, to which `/ipfs/<cid>` is
   * appended, or has `{cid}` where the CID goes.
   * @param {string} cid
   * @param {string[]} bases
   * @param {() => void} [onTraffic]
   */
  static ofCid(cid, bases, onTraffic) {
    const gateways = [...new Set(bases)].map((base) => {
      const url = gatewayUrl(base, cid);
      const blockUrl = (/** @type {string} */ one) => {
        const block = new URL(gatewayUrl(base, one));
        block.searchParams.set('format', 'raw');
        return block.href;
      };
      return new Gateway(new URL(url).host, url, blockUrl);
    });
    return new Gateways(gateways, onTraffic);
  }

  /**
   * A plain URL, which proves nothing.
   * @param {string} url
   * @param {() => void} [onTraffic]
   */
  static ofUrl(url, onTraffic) {
    return new Gateways([new Gateway(new URL(url).host, url, null)], onTraffic);
  }

  /** @returns {Share[]} */
  shares() {
    return this.#gateways.map(({ name, requests, bytes, proven, problem }) => (
      { name, requests, bytes, proven, problem }
    ));
  }

  /** The URL of the blob at the gateway that is asked first, for programs that fetch themselves. */
  get url() {
    return this.#gateways[0]?.url ?? '';
  }

  /**
   * Asks gateways, one after the other, until `ask` succeeds with one.
   *
   * A gateway that failed is asked again after a rest, until the patience ends. Fails with an
   * `UnavailableError` that says what each did.
   * @template T
   * @param {Form} form
   * @param {string} what what is wanted, for the error
   * @param {AbortSignal | undefined} signal
   * @param {(gateway: Gateway) => Promise<T>} ask
   * @returns {Promise<T>}
   */
  async ask(form, what, signal, ask) {
    const hasSent = this.#gateways.some(({ bytes }) => bytes > 0);
    const deadline = Date.now() + (hasSent ? PATIENCE_MS : FIRST_PATIENCE_MS);
    /** @type {GatewayError[]} */
    const problems = [];
    for (;;) {
      signal?.throwIfAborted();
      const gateway = await this.#next(form, deadline, problems, signal);
      if (!gateway) throw new UnavailableError(what, problems);
      try {
        const answer = await ask(gateway);
        gateway.rest[form] = { until: 0, failures: 0, error: null };
        return answer;
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        problems.push(error);
        this.failed(gateway, form, error);
      }
    }
  }

  /**
   * Sets a gateway aside.
   * @param {Gateway} gateway
   * @param {Form} form
   * @param {GatewayError} error
   */
  failed(gateway, form, error) {
    const rest = gateway.rest[form];
    rest.failures += 1;
    rest.error = error;
    const backoff = Math.min(REST_MS * 2 ** (rest.failures - 1), LONGEST_REST_MS);
    const least = error.retryAfter ?? backoff * (0.5 + Math.random() / 2);
    const final = error.fault === 'forged' ? FORGED_MS : REFUSED_MS;
    rest.until = Date.now() + (error.isFinal ? final : least);
    gateway.problem = error.message;
    // Others come first from now on.
    this.#gateways = [...this.#gateways.filter((other) => other !== gateway), gateway];
    this.#onTraffic();
  }

  /** Gives every gateway another chance, because a person asks for one. */
  forgive() {
    for (const gateway of this.#gateways) {
      for (const rest of Object.values(gateway.rest)) Object.assign(rest, { until: 0, failures: 0, error: null });
    }
  }

  /**
   * The gateway to ask now. Waits for one that rests; null if that cannot help in time.
   * @param {Form} form
   * @param {number} deadline
   * @param {GatewayError[]} problems
   * @param {AbortSignal} [signal]
   */
  async #next(form, deadline, problems, signal) {
    const all = this.#gateways.filter((gateway) => form === 'range' || gateway.blockUrl);
    // A verdict is final for this request even if it was passed for an earlier one.
    const hopeless = all.filter((gateway) => (
      gateway.rest[form].error?.isFinal && gateway.rest[form].until > Date.now()
    ));
    for (const { name, rest } of hopeless) {
      const { error } = rest[form];
      if (error && !problems.some((problem) => problem.gateway === name)) problems.push(error);
    }
    const rested = all.filter((gateway) => !hopeless.includes(gateway));
    if (rested.length === 0) return null;
    rested.sort((a, b) => Math.max(a.rest[form].until, Date.now()) - Math.max(b.rest[form].until, Date.now()));
    const first = rested[0];
    const wait = first.rest[form].until - Date.now();
    if (Date.now() + Math.max(wait, 0) >= deadline) return null;
    if (wait > 0) await sleep(wait, signal);
    return first;
  }

  /**
   * The bytes of a range from one gateway, as they come. Fails with a `GatewayError`.
   * @param {Gateway} gateway
   * @param {number} start
   * @param {number} end
   * @param {{ size: number, isProven: boolean }} blob
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *range(gateway, start, end, blob, signal) {
    const { name } = gateway;
    const watch = new Watch(name, signal);
    try {
      const headers = { Range: `bytes=${start}-${end - 1}` };
      const response = await this.#send(gateway, gateway.url, headers, watch);
      const whole = start === 0 && end === blob.size;
      if (response.status === 200 && !whole) {
        throw new GatewayError(name, 'malformed', 'ignores ranges and sends the whole file');
      }
      checkStatus(name, response, 'a range', whole ? [200, 206] : [206]);
      const said = response.headers.get('Content-Range');
      // A gateway may not let other sites' pages read the header; then only the hash can tell.
      if (response.status === 206 && (said !== null || !blob.isProven)) {
        if (said !== `bytes ${start}-${end - 1}/${blob.size}`) {
          throw new GatewayError(name, 'malformed', `sent another range than it was asked for (${said})`);
        }
      }
      let left = end - start;
      for await (const bytes of this.#body(gateway, response, watch)) {
        left -= bytes.length;
        if (left < 0) throw new GatewayError(name, 'malformed', 'sent more bytes than it was asked for');
        yield bytes;
      }
      if (left > 0) throw new GatewayError(name, 'stalled', 'ended an answer too soon');
    } finally {
      watch.end();
    }
  }

  /**
   * A raw block, verified against its CID.
   * @param {Cid} cid
   * @param {AbortSignal} [signal]
   */
  async block(cid, signal) {
    if (cid.isInline) return cid.digest;
    const text = cidText(cid);
    return this.ask('block', `no gateway gave block ${text}`, signal, async (gateway) => {
      const watch = new Watch(gateway.name, signal);
      try {
        const url = gateway.blockUrl?.(text) ?? '';
        const headers = { Accept: 'application/vnd.ipld.raw' };
        const response = await this.#send(gateway, url, headers, watch);
        checkStatus(gateway.name, response, 'a raw block', [200]);
        const parts = [];
        let length = 0;
        for await (const bytes of this.#body(gateway, response, watch)) {
          parts.push(bytes);
          length += bytes.length;
          if (length > LONGEST_BLOCK) {
            throw new GatewayError(gateway.name, 'malformed', 'sent something larger than a block');
          }
        }
        const block = joined(parts, length);
        if (!(await matches(cid, block))) throw forged(gateway, `block ${text}`);
        gateway.proven += block.length;
        return block;
      } finally {
        watch.end();
      }
    });
  }

  /**
   * The blob's length, of a blob that nothing proves: as the first answer to a range says.
   * @param {AbortSignal} [signal]
   * @returns {Promise<number>}
   */
  async size(signal) {
    return this.ask('range', 'the length is unknown', signal, async (gateway) => {
      const { name } = gateway;
      const watch = new Watch(name, signal);
      try {
        const response = await this.#send(gateway, gateway.url, { Range: 'bytes=0-0' }, watch);
        const said = response.headers.get('Content-Range') ?? '';
        void response.body?.cancel();
        if (response.status === 200) {
          throw new GatewayError(name, 'malformed', 'ignores ranges and sends the whole file');
        }
        checkStatus(name, response, 'a range', [206]);
        const size = Number(/^bytes 0-0\/(\d+)$/.exec(said)?.[1] ?? NaN);
        if (Number.isSafeInteger(size)) return size;
        const whole = await this.#send(gateway, gateway.url, {}, watch, 'HEAD');
        const length = Number(whole.headers.get('Content-Length') ?? NaN);
        if (whole.ok && Number.isSafeInteger(length)) return length;
        throw new GatewayError(name, 'malformed', 'does not let this page read the length of the file (it would need Access-Control-Expose-Headers: Content-Range)');
      } finally {
        watch.end();
      }
    });
  }

  /**
   * @param {Gateway} gateway
   * @param {string} url
   * @param {Record<string, string>} headers
   * @param {Watch} watch
   * @param {string} [method]
   */
  async #send(gateway, url, headers, watch, method = 'GET') {
    gateway.requests += 1;
    this.#onTraffic();
    try {
      return await watch.over(fetch(url, {
        method,
        headers,
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        // Verified bytes are kept by the caller; the browser's cache would hold them twice.
        cache: 'no-store',
        signal: watch.signal,
      }));
    } catch (error) {
      throw watch.blame(error, 'cannot be reached, or does not let this page read its answers');
    }
  }

  /**
   * @param {Gateway} gateway
   * @param {Response} response
   * @param {Watch} watch
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async *#body(gateway, response, watch) {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await watch.over(reader.read()).catch((error) => {
          throw watch.blame(error, 'broke the connection off');
        });
        if (done) return;
        gateway.bytes += value.length;
        this.#onTraffic();
        yield value;
      }
    } finally {
      void reader.cancel().catch(() => {});
    }
  }
}

/** Blocks are at most this long (trustless gateway specification, "Block size"). */
const LONGEST_BLOCK = 2 * 1024 * 1024;

/**
 * @param {{ name: string }} gateway
 * @param {string} what
 */
export function forged(gateway, what) {
  return new GatewayError(gateway.name, 'forged', `sent forged bytes (${what}), which do not match the CID`);
}

/** One request's signal, which also ends it if nothing comes for too long. */
class Watch {
  #control = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #hasStalled = false;
  #outer;
  #name;
  #follow = () => this.#control.abort(this.#outer?.reason);

  /**
   * @param {string} name
   * @param {AbortSignal} [outer]
   */
  constructor(name, outer) {
    this.#name = name;
    this.#outer = outer;
    if (outer?.aborted) this.#follow();
    outer?.addEventListener('abort', this.#follow);
  }

  get signal() {
    return this.#control.signal;
  }

  /**
   * @template T
   * @param {Promise<T>} step
   */
  async over(step) {
    this.#timer = setTimeout(() => {
      this.#hasStalled = true;
      this.#control.abort();
    }, STALL_MS);
    try {
      return await step;
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /**
   * Whose fault an error is.
   * @param {unknown} error
   * @param {string} otherwise what the gateway did if it did not stall
   */
  blame(error, otherwise) {
    if (this.#hasStalled) {
      return new GatewayError(this.#name, 'stalled', `sent nothing for ${STALL_MS / 1000} seconds`);
    }
    if (this.#outer?.aborted) return error;
    return new GatewayError(this.#name, 'unreachable', otherwise);
  }

  end() {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#follow);
  }
}

/**
 * @param {string} name
 * @param {Response} response
 * @param {string} what
 * @param {number[]} good
 */
function checkStatus(name, response, what, good) {
  if (good.includes(response.status)) return;
  void response.body?.cancel();
  const { status } = response;
  const seconds = Number(response.headers.get('Retry-After') ?? NaN);
  const retryAfter = seconds > 0 ? seconds * 1000 : undefined;
  throw new GatewayError(name, 'refused', `answered ${status} to a request for ${what}`, { status, retryAfter });
}

/**
 * The URL of a CID at a gateway.
 * @param {string} base
 * @param {string} cid
 */
export function gatewayUrl(base, cid) {
  if (base.includes('{cid}')) return base.replaceAll('{cid}', cid);
  return `${base.replace(/\/+$/, '')}/ipfs/${cid}`;
}

/**
 * @param {Uint8Array[]} parts
 * @param {number} length
 */
export function joined(parts, length) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve(undefined);
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
  });
}
