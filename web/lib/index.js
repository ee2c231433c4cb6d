// Look into remote ZIP archives from a web page. See README.md.

export { Archive } from './archive.js';
export { Blob as RemoteBlob } from './blob.js';
export { cidText, isCid, parseCid } from './cid.js';
export { Engine, EngineError } from './engine-client.js';
export { ArchiveError, CidError, GatewayError, UnavailableError } from './errors.js';
export { mediaType, viewOf } from './media-types.js';
export { highlights, imagePlaylist, imageThumbnails, rangeOf, thumbnails } from './playlists.js';
export { Gateways } from './ranges.js';
export { Tree, natural } from './tree.js';
export { Proof, verifies } from './unixfs-proof.js';
export { startViews } from './views.js';
export { viewPath } from './view-protocol.js';
export { Index, dataOffset, findDirectory } from './zip-index.js';
