// What the browser tests share: nodes, a relay that misbehaves, browsers, and waiting.

import { spawn, execFileSync } from 'node:child_process';
import { createServer, request as httpRequest } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

export const AIOZFS = process.env.AIOZFS ?? 'aiozfs';

/** No step of a test takes longer, unless it says so. */
const PATIENCE_MS = 30_000;

const environment = () => ({ ...process.env, XDG_CONFIG_HOME: '/no/such/directory', AIOZFS_CACHE_SIZE: '0' });

export function aiozfs(...args) {
  return execFileSync(AIOZFS, args, { env: environment(), encoding: 'utf8', maxBuffer: 1 << 30 });
}

/** A node of the binary under test that serves these files. */
export class Served {
  /** @param {string[]} files */
  static async start(files, listen = '127.0.0.1:0') {
    const served = new Served();
    served.cache = mkdtempSync(join(tmpdir(), 'aiozfs-page-cache-'));
    served.process = spawn(AIOZFS, ['serve', '--listen', listen, '--cache-dir', served.cache, ...files], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    /** CIDs by name. */
    served.cids = {};
    const lines = createInterface({ input: served.process.stdout });
    for await (const line of lines) {
      const [cid, , name, url] = line.split('\t');
      served.cids[name] = cid;
      served.base = new URL(url).origin;
      if (Object.keys(served.cids).length === files.length) break;
    }
    return served;
  }

  stop() {
    this.process.kill('SIGKILL');
    rmSync(this.cache, { recursive: true, force: true });
  }
}

/**
 * A gateway that passes on what a node gives. `mode`: 'plain', 'flip' (one bit of each answer under
 * /ipfs/ is another), 'down' (connections break), 'no-blocks' (406), 'no-cors' (it gives its bytes to its own
 * pages alone), 'no-player' (the page is as it is without mount-scripts/page).
 */
export async function relay(base, mode = 'plain') {
  const state = { mode, requests: [], bytes: 0 };
  const server = createServer((request, response) => {
    if (state.mode === 'down') return request.socket.destroy();
    state.requests.push(request.url);
    if (state.mode === 'no-blocks' && request.url.includes('format=raw')) {
      response.writeHead(406, { 'Access-Control-Allow-Origin': '*' });
      return response.end();
    }
    if (state.mode === 'no-player' && request.url.startsWith('/web/dist/')) return response.writeHead(404).end();
    const onward = httpRequest(`${base}${request.url}`, { method: request.method, headers: request.headers }, (answer) => {
      const own = /^access-control-|^cross-origin-/;
      const headers = Object.entries(answer.headers).filter(([name]) => state.mode !== 'no-cors' || !own.test(name));
      response.writeHead(answer.statusCode, Object.fromEntries(headers));
      let flipped = state.mode !== 'flip' || !request.url.startsWith('/ipfs/');
      answer.on('data', (chunk) => {
        state.bytes += chunk.length;
        if (!flipped) chunk[chunk.length >> 1] ^= 1;
        flipped = true;
        response.write(chunk);
      });
      answer.on('end', () => response.end());
      answer.on('error', () => request.socket.destroy());
    });
    onward.on('error', () => request.socket.destroy());
    return onward.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    base: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    state,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A web site of somebody else, with the library. */
export async function site(folder) {
  const types = { html: 'text/html', js: 'text/javascript' };
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://x').pathname;
    try {
      const bytes = readFileSync(join(folder, path));
      const kind = types[path.split('.').pop()] ?? 'text/plain';
      response.writeHead(200, { 'Content-Type': kind, 'Service-Worker-Allowed': '/' }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { base: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** The address of a server on this machine under a name that browsers do not trust as they do localhost. */
export const insecure = (base) => base.replace('127.0.0.1', 'node.test');

/** A browser without a window and with a profile of its own. */
export async function browse(name) {
  if (name === 'firefox') {
    return puppeteer.launch({
      browser: 'firefox',
      executablePath: '/usr/bin/firefox-esr',
      headless: true,
      extraPrefsFirefox: {
        'media.autoplay.default': 0,
        'media.autoplay.blocking_policy': 0,
        // Nothing of its own goes to the network.
        'app.update.enabled': false,
        'network.captive-portal-service.enabled': false,
        'network.connectivity-service.enabled': false,
        'browser.safebrowsing.update.enabled': false,
        'datareporting.policy.dataSubmissionEnabled': false,
        'services.settings.server': '',
      },
    });
  }
  return puppeteer.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: [
      // Chromium's sandbox does not work as root or in a container, which often has a small /dev/shm.
      '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--mute-audio',
      '--autoplay-policy=no-user-gesture-required', '--disable-quic', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-first-run', '--host-resolver-rules=MAP node.test 127.0.0.1',
    ],
  });
}

/** The resident memory of the largest renderer below a process, in MB. */
export function largestRenderer(pid) {
  let most = 0;
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)) {
    try {
      const status = readFileSync(`/proc/${child}/status`, 'utf8');
      const command = readFileSync(`/proc/${child}/cmdline`, 'utf8');
      const own = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000);
      most = Math.max(most, command.includes('type=renderer') ? own : 0, largestRenderer(child));
    } catch {
      // It has ended.
    }
  }
  return most;
}

/** Waits until `holds` gives something that is true, and gives that. */
export async function until(what, holds, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A page of the browser, with the steps that people do. */
export class Visit {
  /** @param {import('puppeteer-core').Browser} browser */
  static async start(browser, { width = 1280, height = 900, dark = false } = {}) {
    const visit = new Visit();
    visit.page = await browser.newPage();
    // Firefox does not draw what is behind another tab.
    await visit.page.bringToFront();
    await visit.page.setViewport({ width, height });
    if (dark) await visit.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    /** What a strict policy refuses, and errors of scripts. */
    visit.complaints = [];
    visit.page.on('console', (message) => {
      if (/Content.Security.Policy|violates|Refused/i.test(message.text())) visit.complaints.push(message.text());
    });
    visit.page.on('pageerror', (error) => {
      const text = String(error?.message ?? error);
      // Firefox says so when its video element drops a request at a seek.
      if (!/A ServiceWorker intercepted the request/.test(text)) visit.complaints.push(text);
    });
    return visit;
  }

  /** Opens an address of the page; a new hash alone would not load it anew. */
  async go(base, hash = '#/') {
    await this.page.goto('about:blank');
    await this.page.goto(`${base}/${hash}`, { waitUntil: 'domcontentloaded' });
  }

  evaluate(work, ...args) {
    return this.page.evaluate(work, ...args);
  }

  until(what, work, ...args) {
    return until(what, () => this.evaluate(work, ...args).catch((error) => {
      // The page may be between two documents.
      if (/context|navigat|realm/i.test(error.message)) return false;
      throw error;
    }));
  }

  /** The tree is there, and its rows have names. */
  rows() {
    return this.until('rows of the tree', () => {
      const rows = [...document.querySelectorAll('.row .text')].map((row) => row.textContent);
      return rows.length > 0 && rows;
    });
  }

  /** Waits for a film to play through some of its time. */
  async plays(seconds = 0.5) {
    await this.until('the film plays', (seconds) => {
      const video = document.querySelector('video');
      return video && video.currentTime > seconds && video.videoWidth > 0;
    }, seconds);
  }

  /** Seeks to a part of the film and waits until it goes on there. */
  async seeks(part) {
    await this.evaluate((part) => {
      const video = document.querySelector('video');
      video.currentTime = video.duration * part;
    }, part);
    await this.until(`the film goes on after a seek to ${part}`, (part) => {
      const video = document.querySelector('video');
      return !video.seeking && video.currentTime > video.duration * part + 0.2;
    }, part);
  }

  /** Plays to the end, faster than it is meant to. */
  async ends() {
    await this.evaluate(() => {
      document.querySelector('video').playbackRate = 4;
    });
    await this.until('the film ends', () => document.querySelector('video').ended);
  }

  /** What the page complains of; empty if it does not. */
  alert() {
    return this.evaluate(() => {
      const alert = document.querySelector('[role=alert]:not([hidden])');
      return alert ? alert.textContent : '';
    });
  }

  async shot(path) {
    await this.page.screenshot({ path });
  }

  close() {
    return this.page.close();
  }
}
