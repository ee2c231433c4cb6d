// Imports a file with the JavaScript implementation of UnixFS, and serves what came of it: blocks
// by ?format=raw, and the file by Range. Prints the CID and the port.
// Usage: node gateway.js FILE LAYOUT
import { createReadStream, openSync, readSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced, trickle } from 'ipfs-unixfs-importer/layout'

const [, , file, layout] = process.argv
const layouts = {
  'unixfs-v1-2025': { profile: 'unixfs-v1-2025' },
  'unixfs-v0-2015': { profile: 'unixfs-v0-2015' },
  'kubo-1mib-174': {
    rawLeaves: true,
    cidVersion: 1,
    fieldOrder: 'links-first',
    chunker: fixedSize({ chunkSize: 1 << 20 }),
    layout: balanced({ maxChildrenPerNode: 174 })
  },
  deep: {
    rawLeaves: true,
    cidVersion: 1,
    chunker: fixedSize({ chunkSize: 16384 }),
    layout: balanced({ maxChildrenPerNode: 5 })
  },
  trickle: {
    rawLeaves: false,
    leafType: 'raw',
    cidVersion: 1,
    chunker: fixedSize({ chunkSize: 65536 }),
    layout: trickle({ maxChildrenPerNode: 10 })
  }
}
const blocks = new Map()
const store = {
  put: async (cid, block) => {
    blocks.set(cid.toString(), block)
    return cid
  }
}
let root
const source = [{ content: createReadStream(file) }]
for await (const entry of importer(source, store, layouts[layout])) {
  root = entry.cid.toString()
}

const size = statSync(file).size
const fd = openSync(file)
const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://gateway')
  const cid = url.pathname.replace('/ipfs/', '')
  if (url.searchParams.get('format') === 'raw') {
    const block = blocks.get(cid)
    if (block === undefined) {
      return response.writeHead(404).end()
    }
    return response.writeHead(200, { 'Content-Type': 'application/vnd.ipld.raw' }).end(block)
  }
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  if (cid !== root || range === null) {
    return response.writeHead(cid === root ? 501 : 404).end()
  }
  const [first, last] = [Number(range[1]), Number(range[2])]
  const bytes = Buffer.alloc(last + 1 - first)
  readSync(fd, bytes, 0, bytes.length, first)
  response.writeHead(206, { 'Content-Range': `bytes ${first}-${last}/${size}` }).end(bytes)
})
server.listen(0, '127.0.0.1', () => console.log(`${root} ${server.address().port}`))
