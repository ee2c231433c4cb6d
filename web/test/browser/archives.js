// The archives of the browser tests, made by other programs.

import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aiozfs } from './harness.js';

/** Names that would do harm if they were taken for markup. */
export const HOSTILE = [
  '<img src=x onerror="window.harmed=1">.txt',
  '"><script>window.harmed=1</script>.txt',
  "javascript:window.harmed=1",
  '\u202etxt.exe',
  'a & b <b>bold</b>.txt',
  '{{7*7}}${7*7}.txt',
];

/** Twenty seconds that look well in screenshots. */
const AURORA = 'gradients=size=640x360:rate=25:duration=20:nb_colors=4:c0=0x0b1d3a:c1=0x0f766e:c2=0xf2c078:c3=0x3b1f4a'
  + ':speed=0.012:x0=0:y0=0:x1=640:y1=360,format=yuv420p,noise=alls=6:allf=t,vignette';

/**
 * Packs and copies everything into a folder.
 * @param {string} packages the packages of tests/suite/players
 * @param {string} out
 */
export function make(packages, out) {
  mkdirSync(out, { recursive: true });
  const made = {};
  for (const name of ['ffmpeg-hls-ts', 'ffmpeg-hls-fmp4', 'ffmpeg-hls-aes-128', 'ffmpeg-dash-timeline', 'shaka-fmp4', 'shaka-byte-ranges']) {
    made[name] = join(out, `${name}.zip`);
    aiozfs('pack', '--no-sync', join(packages, name), made[name]);
  }
  // Another program's archive knows no range links.
  made.foreign = join(out, 'foreign.zip');
  execFileSync('python3', ['-c', `
import os, sys, zipfile
folder, path = sys.argv[1:]
with zipfile.ZipFile(path, 'w') as z:
    for root, _, files in os.walk(folder):
        for name in sorted(files):
            full = os.path.join(root, name)
            z.write(full, 'film/' + os.path.relpath(full, folder))
`, join(packages, 'ffmpeg-hls-ts'), made.foreign]);
  made.mixed = join(out, 'mixed.zip');
  const folder = join(out, 'mixed');
  mkdirSync(folder);
  execFileSync('ffmpeg', [
    '-v', 'error', '-f', 'lavfi', '-i', AURORA, '-f', 'lavfi', '-i', 'sine=frequency=330:duration=20',
    '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '3M', '-pix_fmt', 'yuv420p', '-g', '25', '-c:a', 'aac', '-shortest', join(folder, 'film.mp4'),
  ]);
  execFileSync('ffmpeg', ['-v', 'error', '-i', join(folder, 'film.mp4'), '-ss', '5', '-frames:v', '1', join(folder, 'cover.jpg')]);
  execFileSync('ffmpeg', ['-v', 'error', '-i', join(folder, 'film.mp4'), '-vf', 'fps=1,scale=160:90,tile=5x4', '-frames:v', '1', join(folder, 'sprite.jpg')]);
  const cues = Array.from({ length: 20 }, (_, at) => (
    `00:${String(at).padStart(2, '0')}.000 --> 00:${String(at + 1).padStart(2, '0')}.000\nsprite.jpg#xywh=${(at % 5) * 160},${Math.floor(at / 5) * 90},160,90\n`
  ));
  writeFileSync(join(folder, 'thumbnails.vtt'), `WEBVTT\n\n${cues.join('\n')}`);
  // A package with an image playlist.
  const imaged = join(out, 'imaged');
  cpSync(join(packages, 'ffmpeg-hls-ts'), imaged, { recursive: true });
  cpSync(join(folder, 'sprite.jpg'), join(imaged, 'tiles.jpg'));
  writeFileSync(join(imaged, 'images.m3u8'), '#EXTM3U\n#EXT-X-IMAGES-ONLY\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=5x4,DURATION=1\ntiles.jpg\n#EXT-X-ENDLIST\n');
  appendFileSync(join(imaged, 'master.m3u8'), '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=9000,RESOLUTION=160x90,CODECS="jpeg",URI="images.m3u8"\n');
  made.imaged = join(out, 'imaged.zip');
  aiozfs('pack', '--no-sync', imaged, made.imaged);
  // A manifest with a set of tiles.
  const tiled = join(out, 'tiled');
  cpSync(join(packages, 'ffmpeg-dash-timeline'), tiled, { recursive: true });
  cpSync(join(folder, 'sprite.jpg'), join(tiled, 'tiles_1.jpg'));
  const manifest = join(tiled, 'manifest.mpd');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('</Period>', `
    <AdaptationSet id="9" contentType="image" mimeType="image/jpeg">
      <SegmentTemplate media="tiles_$Number$.jpg" duration="20" startNumber="1"/>
      <Representation id="tiles" bandwidth="9000" width="800" height="360">
        <EssentialProperty schemeIdUri="http://dashif.org/thumbnail_tile" value="5x4"/>
      </Representation>
    </AdaptationSet></Period>`));
  made.tiled = join(out, 'tiled.zip');
  aiozfs('pack', '--no-sync', tiled, made.tiled);
  // A film with sound in two languages.
  const spoken = join(out, 'spoken');
  mkdirSync(spoken);
  execFileSync('ffmpeg', [
    '-v', 'error', '-i', join(folder, 'film.mp4'), '-f', 'lavfi', '-i', 'sine=frequency=660:duration=20',
    '-map', '0:v', '-map', '0:a', '-map', '1:a', '-c:v', 'copy', '-c:a', 'aac', '-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod',
    '-master_pl_name', 'master.m3u8', '-var_stream_map', 'a:0,agroup:sound,language:en,default:yes,name:english a:1,agroup:sound,language:de,name:german v:0,agroup:sound,name:film',
    '%v.m3u8',
  ], { cwd: spoken });
  made.spoken = join(out, 'spoken.zip');
  aiozfs('pack', '--no-sync', spoken, made.spoken);
  execFileSync('python3', ['-c', `
import sys, zipfile, json
folder, path, hostile = sys.argv[1:]
with zipfile.ZipFile(path, 'w') as z:
    for name in ['film.mp4', 'cover.jpg', 'sprite.jpg', 'thumbnails.vtt']:
        z.write(folder + '/' + name, name)
    z.writestr('notes/readme.txt', 'Hello from the archive.\\n' * 50)
    z.writestr('notes/packed.txt', 'Packed text. ' * 1000, zipfile.ZIP_DEFLATED)
    z.writestr('notes/by bzip2.txt', 'x' * 1000, zipfile.ZIP_BZIP2)
    z.writestr('notes/evil.html', '<script>parent.harmed=1; window.harmed=1</script>')
    z.writestr('notes/empty', '')
    for at in range(1, 13):
        z.writestr('many/part %d.bin' % at, bytes(1000 * at))
    for name in json.loads(hostile):
        z.writestr('names/' + name, 'x')
    z.writestr('../outside.txt', 'x')
`, folder, made.mixed, JSON.stringify(HOSTILE)]);
  return made;
}

/** An archive of `count` empty files in ten directories. */
export function many(path, count) {
  const name = (at) => Buffer.from(`folder ${at % 10}/file number ${String(at).padStart(7, '0')}.txt`);
  const length = name(0).length;
  const locals = Buffer.alloc((30 + length) * count);
  const records = Buffer.alloc((46 + length) * count);
  for (let at = 0; at < count; at += 1) {
    const local = at * (30 + length);
    locals.writeUInt32LE(0x04034b50, local);
    locals.writeUInt16LE(20, local + 4);
    locals.writeUInt16LE(0x21, local + 12);
    locals.writeUInt16LE(length, local + 26);
    name(at).copy(locals, local + 30);
    const record = at * (46 + length);
    records.writeUInt32LE(0x02014b50, record);
    records.writeUInt16LE(0x0314, record + 4);
    records.writeUInt16LE(20, record + 6);
    records.writeUInt16LE(0x21, record + 14);
    records.writeUInt16LE(length, record + 28);
    records.writeUInt32LE(0o100644 * 65536, record + 38);
    records.writeUInt32LE(local, record + 42);
    name(at).copy(records, record + 46);
  }
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeBigUInt64LE(BigInt(count), 24);
  end.writeBigUInt64LE(BigInt(count), 32);
  end.writeBigUInt64LE(BigInt(records.length), 40);
  end.writeBigUInt64LE(BigInt(locals.length), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(locals.length + records.length), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.fill(0xff, 76 + 8, 76 + 20);
  writeFileSync(path, Buffer.concat([locals, records, end]));
}

