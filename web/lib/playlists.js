// HLS and DASH packages: what to play of an archive, and what belongs to it.

import { extension, viewOf } from './media-types.js';

/** @typedef {import('./tree.js').Tree} Tree */

/** Larger archives are no packages of a single film; looking at all names would take too long. */
const MOST_LOOKED_AT = 50_000;

/**
 * What an archive has to show at first sight: nodes of the tree, or null.
 * @typedef {object} Highlights
 * @property {number | null} playlist the master playlist or manifest to play
 * @property {number | null} video the largest file that plays by itself
 * @property {number | null} cover a picture of the whole
 * @property {number | null} thumbnails WebVTT that points to pictures for the seek bar
 */

/**
 * Finds what to play and what to show, by names alone: nothing is fetched.
 * @param {Tree} tree
 * @returns {Highlights}
 */
export function highlights(tree) {
  const best = {
    playlist: new Best(),
    video: new Best(),
    cover: new Best(),
    thumbnails: new Best(),
  };
  if (tree.length <= MOST_LOOKED_AT) {
    for (const node of tree.nodes()) {
      if (tree.isDirectory(node)) continue;
      const path = tree.path(node);
      const depth = path.split('/').length - 1;
      const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
      switch (viewOf(name)) {
        case 'hls':
        case 'dash':
          best.playlist.offer(node, playlistRank(name) - depth * 10);
          break;
        case 'video':
          if (!['m4s', 'cmfv'].includes(extension(name))) best.video.offer(node, tree.size(node));
          break;
        case 'image':
          if (/cover|poster|folder|thumbnail|still/.test(name)) {
            const order = ['cover', 'poster', 'folder', 'still', 'thumbnail'].findIndex((word) => name.includes(word));
            best.cover.offer(node, -depth * 10 - order);
          }
          break;
        default:
          if (extension(name) === 'vtt' && /thumb|sprite|storyboard|preview/.test(path.toLowerCase())) {
            best.thumbnails.offer(node, -depth);
          }
      }
    }
  }
  return {
    playlist: best.playlist.node,
    video: best.video.node,
    cover: best.cover.node,
    thumbnails: best.thumbnails.node,
  };
}

/** A master playlist is named so by most packagers. Of both forms HLS is taken. @param {string} name */
function playlistRank(name) {
  const form = name.endsWith('.m3u8') ? 1 : 0;
  if (/i-?frame|key-?frame/.test(name)) return form - 5;
  if (/^(master|main|playlist|manifest|index|stream)/.test(name) || name.includes('master')) return form + 6;
  return name.endsWith('.mpd') ? 5 : form;
}

class Best {
  /** @type {number | null} */
  node = null;
  #rank = -Infinity;

  /**
   * @param {number} node
   * @param {number} rank
   */
  offer(node, rank) {
    if (rank > this.#rank) [this.node, this.#rank] = [node, rank];
  }
}

/**
 * A range link: `name?range=<offset>,<size>`, the data of an entry in the blob.
 * @param {string} query with or without its question mark
 * @returns {[number, number] | null} start and end
 */
export function rangeOf(query) {
  const range = new URLSearchParams(query).get('range');
  const numbers = /^(\d{1,16}),(\d{1,16})$/.exec(range ?? '');
  if (!numbers) return null;
  const [offset, size] = [Number(numbers[1]), Number(numbers[2])];
  return Number.isSafeInteger(offset + size) ? [offset, offset + size] : null;
}

/**
 * One picture of a strip of thumbnails.
 * @typedef {object} Thumbnail
 * @property {number} start in seconds
 * @property {number} end
 * @property {string} url of the picture
 * @property {{ x: number, y: number, width: number, height: number } | null} part of it
 */

/**
 * The pictures that a WebVTT file points to, with `#xywh=` for parts of sprites.
 * @param {string} text
 * @param {string} base the URL that its links are relative to
 * @returns {Thumbnail[]}
 */
export function thumbnails(text, base) {
  const found = [];
  for (const cue of text.replace(/\r\n?/g, '\n').split(/\n\n+/)) {
    const lines = cue.split('\n');
    const at = lines.findIndex((line) => line.includes('-->'));
    if (at < 0 || !lines[at + 1]) continue;
    const [start, end] = lines[at].split('-->').map(seconds);
    const url = new URL(lines[at + 1].trim(), base);
    const [x, y, width, height] = /^#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/.exec(url.hash)?.slice(1).map(Number) ?? [];
    url.hash = '';
    if (!(end > start)) continue;
    found.push({ start, end, url: url.href, part: height > 0 ? { x, y, width, height } : null });
  }
  return found;
}

/**
 * The playlist of pictures that a master playlist names (EXT-X-IMAGE-STREAM-INF, an extension of Roku's
 * that packagers write); null if it names none.
 * @param {string} master
 * @param {string} base the URL of the master playlist
 */
export function imagePlaylist(master, base) {
  for (const line of master.split(/\r?\n/)) {
    const uri = /^#EXT-X-IMAGE-STREAM-INF:.*?URI="([^"]+)"/.exec(line)?.[1];
    if (uri) return new URL(uri, base).href;
  }
  return null;
}

/**
 * The pictures of a playlist of pictures. A segment is one picture, or with EXT-X-TILES a grid of them.
 * @param {string} text
 * @param {string} base the URL of the playlist
 * @returns {Thumbnail[]}
 */
export function imageThumbnails(text, base) {
  const found = [];
  let start = 0;
  let length = 0;
  /** @type {number[] | null} columns, rows, width, height, duration */
  let tiles = null;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#EXTINF:')) length = Number.parseFloat(line.slice(8));
    if (line.startsWith('#EXT-X-TILES:')) {
      const two = (/** @type {string} */ name) => new RegExp(`${name}=(\\d+)x(\\d+)`).exec(line)?.slice(1).map(Number) ?? [0, 0];
      const duration = Number(/[:,]DURATION=([\d.]+)/.exec(line)?.[1] ?? NaN);
      tiles = [...two('LAYOUT'), ...two('RESOLUTION'), duration];
    }
    if (line === '' || line.startsWith('#') || !(length > 0)) continue;
    const url = new URL(line.trim(), base).href;
    const [columns, rows, width, height, duration] = tiles ?? [0, 0, 0, 0, 0];
    const each = duration > 0 ? duration : length / Math.max(columns * rows, 1);
    // A hostile playlist may announce any number of tiles.
    const count = Math.min(columns * rows, Math.ceil(length / each), 10_000);
    if (count === 0) found.push({ start, end: start + length, url, part: null });
    for (let at = 0; at < count; at += 1) {
      const [x, y] = [(at % columns) * width, Math.floor(at / columns) * height];
      found.push({ start: start + at * each, end: Math.min(start + (at + 1) * each, start + length), url, part: { x, y, width, height } });
    }
    start += length;
    [length, tiles] = [0, null];
  }
  return found;
}

/** A time of WebVTT, `[hh:]mm:ss.ttt`, in seconds. @param {string} text */
function seconds(text) {
  const parts = text.trim().split(/\s/)[0].split(':').map(Number);
  return parts.reduce((sum, part) => sum * 60 + part, 0);
}
