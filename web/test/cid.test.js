import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base36 } from 'multiformats/bases/base36';
import { base58btc } from 'multiformats/bases/base58';
import { CID } from 'multiformats/cid';
import { identity } from 'multiformats/hashes/identity';
import { sha256 } from 'multiformats/hashes/sha2';
import { noise } from './blobs.js';
import { cidText, isCid, matches, parseCid } from '../lib/cid.js';

test('CIDs are read and written as by the package multiformats', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const bytes = noise(seed * 7, seed);
    const hash = await sha256.digest(bytes);
    for (const cid of [CID.createV1(0x55, hash), CID.createV1(0x70, hash), CID.createV0(hash)]) {
      const parsed = parseCid(cid.toString());
      assert.equal(parsed.version, cid.version);
      assert.equal(parsed.codec, cid.code);
      assert.equal(cidText(parsed), cid.toString());
      assert.equal(await matches(parsed, bytes), true);
      assert.equal(await matches(parsed, bytes.subarray(1)), false);
      if (cid.version === 1) {
        for (const base of [base36, base58btc]) assert.deepEqual(parseCid(cid.toString(base)), parsed);
        assert.deepEqual(parseCid(cid.toString().toUpperCase()), parsed);
      }
    }
  }
  const inline = parseCid(CID.createV1(0x55, identity.digest(noise(20))).toString());
  assert.equal(inline.isInline, true);
  assert.deepEqual(inline.digest, noise(20));
});

test('what is no CID is refused', () => {
  for (const text of ['', 'b', 'bafy', 'Qm', 'Qmabc0', 'x123', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52z', 'film.zip', 'b!']) {
    assert.equal(isCid(text), false, text);
  }
});
