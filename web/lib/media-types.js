// Media types by file name. The same as the node's where players depend on them.

const TYPES = new Map(Object.entries({
  m3u8: 'application/vnd.apple.mpegurl', mpd: 'application/dash+xml', ts: 'video/mp2t', mp4: 'video/mp4',
  m4s: 'video/mp4', m4v: 'video/mp4', cmfv: 'video/mp4', m4a: 'audio/mp4', cmfa: 'audio/mp4', aac: 'audio/aac',
  webm: 'video/webm', mkv: 'video/x-matroska', mov: 'video/quicktime', ogv: 'video/ogg', ogg: 'audio/ogg',
  oga: 'audio/ogg', opus: 'audio/ogg', mp3: 'audio/mpeg', flac: 'audio/flac', wav: 'audio/wav',
  jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', gif: 'image/gif', webp: 'image/webp',
  avif: 'image/avif', svg: 'image/svg+xml', bmp: 'image/bmp', ico: 'image/x-icon',
  vtt: 'text/vtt', srt: 'text/plain', txt: 'text/plain', md: 'text/plain', csv: 'text/plain', log: 'text/plain',
  html: 'text/html', htm: 'text/html', css: 'text/css', js: 'text/javascript', mjs: 'text/javascript',
  json: 'application/json', xml: 'text/xml', pdf: 'application/pdf', zip: 'application/zip',
}));

/** Extensions of files that are text but have no media type of their own. */
const TEXT = new Set([
  'yaml', 'yml', 'toml', 'ini', 'conf', 'cfg', 'sh', 'py', 'rs', 'c', 'h', 'cpp', 'go', 'ass', 'ssa', 'nfo', 'sha256',
  'ttml', 'rst', 'tsv', 'sql', 'java', 'rb', 'lock',
]);

/** @param {string} name */
export function extension(name) {
  const base = name.slice(name.lastIndexOf('/') + 1);
  const dot = base.lastIndexOf('.');
  return dot < 0 ? '' : base.slice(dot + 1).toLowerCase();
}

/**
 * The media type of a file.
 * @param {string} name
 */
export function mediaType(name) {
  const type = TYPES.get(extension(name)) ?? 'application/octet-stream';
  return /^text\/|json$/.test(type) ? `${type}; charset=utf-8` : type;
}

/**
 * What a page can do with a file.
 * @param {string} name
 * @returns {'hls' | 'dash' | 'video' | 'audio' | 'image' | 'text' | 'other'}
 */
export function viewOf(name) {
  const end = extension(name);
  if (end === 'm3u8') return 'hls';
  if (end === 'mpd') return 'dash';
  // Segments of transport streams play in no browser without a playlist.
  if (end === 'ts' || end === 'mkv') return 'other';
  const type = mediaType(name);
  for (const kind of /** @type {const} */ (['video', 'audio', 'image', 'text'])) {
    if (type.startsWith(`${kind}/`)) return kind;
  }
  const base = name.slice(name.lastIndexOf('/') + 1);
  if (/json/.test(type) || TEXT.has(end) || /^(readme|license|licence|copying|makefile|changelog)/i.test(base)) return 'text';
  return 'other';
}
