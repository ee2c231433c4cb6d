// Imports directories with the JavaScript implementation of UnixFS, and signs IPNS records with that of
// IPNS. Serves raw blocks and records, and answers 406 to everything else, as trustless gateways do.
// GET /requests answers with the requests since the last time, one a line.
// Prints its port, that of a gateway with other records, the CIDs of the roots, and the IPNS names, as JSON.
// Usage: node directories.js ARCHIVE
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { importer } from 'ipfs-unixfs-importer'
import { createIPNSRecord, marshalIPNSRecord } from 'ipns'
import { base36 } from 'multiformats/bases/base36'

const archive = readFileSync(process.argv[2])
const small = Buffer.from('small')
const blocks = new Map()
const store = {
  put: async (cid, block) => {
    blocks.set(cid.toString(), block)
    blocks.set(cid.toV1().toString(), block)
    return cid
  }
}

async function importAll (files, options) {
  let root
  const source = files.map(([path, content]) => ({ path, content }))
  for await (const entry of importer(source, store, { wrapWithDirectory: true, ...options })) {
    root = entry.cid.toString()
  }
  return root
}

const names = ['a.zip', '50%.zip', '50%25.zip', 'a b.zip', 'what?.zip', 'a#b.zip', "it's.zip", 'ü/ß 文.zip', 'A.ZIP']
const files = names.map(name => [name, archive])
files.push(['one/two/three/deep.zip', archive], ['one/notes.txt', small])
const many = Array.from({ length: 10_000 }, (_, n) => [`many/entry ${n}.txt`, small])
many.push(['many/in the middle.zip', archive])
const roots = {
  v1: await importAll([...files, ...many], { profile: 'unixfs-v1-2025' }),
  v0: await importAll(files, { profile: 'unixfs-v0-2015' }),
  narrow: await importAll([...files, ...many], { profile: 'unixfs-v1-2025', shardSplitThresholdBytes: 0, shardFanoutBits: 4 })
}

const DAY = 24 * 60 * 60 * 1000
const records = new Map()
const keys = {}
async function publish (what, value, sequence, lifetime, spoil = record => record) {
  const key = await generateKeyPair('Ed25519')
  const record = await createIPNSRecord(key, value, sequence, lifetime)
  const name = key.publicKey.toCID().toString(base36)
  records.set(name, spoil(marshalIPNSRecord(record)))
  keys[what] = name
  return name
}
await publish('good', `/ipfs/${roots.v1}`, 1, DAY)
await publish('path', `/ipfs/${roots.v1}/one`, 1, DAY)
await publish('twice', `/ipns/${keys.path}/two`, 1, DAY)
await publish('expired', `/ipfs/${roots.v1}`, 1, -DAY)
await publish('forged', `/ipfs/${roots.v1}`, 1, DAY, record => {
  const at = Buffer.from(record).lastIndexOf(roots.v1)
  record[at + 20] ^= 1
  return record
})
await publish('missing', `/ipfs/${roots.v1}`, 1, DAY)
records.set(keys.swapped = keys.missing, records.get(keys.good))
// A gateway that has fallen behind, or lies: what it gives in place of the records of the other.
const other = new Map()
async function publishTwice (what, sequence, spoil) {
  const key = await generateKeyPair('Ed25519')
  const name = key.publicKey.toCID().toString(base36)
  records.set(name, marshalIPNSRecord(await createIPNSRecord(key, `/ipfs/${roots.v1}`, 2, DAY)))
  const record = marshalIPNSRecord(await createIPNSRecord(key, `/ipfs/${roots.v1}/one`, sequence, DAY))
  other.set(name, spoil(record))
  keys[what] = name
}
await publishTwice('behind', 1, record => record)
await publishTwice('lied', 3, record => {
  record[Buffer.from(record).lastIndexOf(roots.v1) + 20] ^= 1
  return record
})
await publish('elsewhere', '/dnslink/example.com', 1, DAY)

let requests = []
const gateway = records => (request, response) => {
  const url = new URL(request.url, 'http://gateway')
  if (url.pathname === '/requests') {
    response.end(requests.join('\n'))
    requests = []
    return
  }
  requests.push(request.url)
  const [, system, name] = url.pathname.split('/')
  const format = url.searchParams.get('format')
  const send = (content, type) => content === undefined
    ? response.writeHead(404).end()
    : response.writeHead(200, { 'Content-Type': type }).end(content)
  if (system === 'ipfs' && format === 'raw') {
    send(blocks.get(name), 'application/vnd.ipld.raw')
  } else if (system === 'ipns' && format === 'ipns-record') {
    send(records.get(name), 'application/vnd.ipfs.ipns-record')
  } else {
    response.writeHead(Number(process.env.REFUSAL ?? 406)).end('raw blocks and records only\n')
  }
}
const server = createServer(gateway(records))
const second = createServer(gateway(other))
// Whoever started this holds the other end.
process.stdin.resume().on('end', () => process.exit())
second.listen(0, '127.0.0.1', () => server.listen(0, '127.0.0.1', () => {
  const [port, other] = [server.address().port, second.address().port]
  console.log(JSON.stringify({ port, other, roots, keys }))
}))
