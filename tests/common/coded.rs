//! Archives of compressed and encrypted entries, by the programs that people use.

use std::fs;
use std::path::Path;

use aiozfs::archive::{AesKey, Encryption, Method};

use super::run::{python, run, tool};
use super::zips::{Item, Zip};

/// The password of all that is encrypted.
pub const PASSWORD: &str = "correct horse battery";

/// How entries are to be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    None,
    ZipCrypto,
    Aes(AesKey),
}

impl Cipher {
    pub fn is_that_of(self, encryption: Option<Encryption>) -> bool {
        match encryption {
            None => self == Cipher::None,
            Some(Encryption::ZipCrypto { .. }) => self == Cipher::ZipCrypto,
            Some(Encryption::Aes { key, .. }) => self == Cipher::Aes(key),
            Some(Encryption::Unknown) => false,
        }
    }
}

/// The program that makes an archive, and how.
enum By {
    SevenZip(&'static str),
    InfoZip(&'static [&'static str]),
    Zipfile(&'static str),
    Bsdtar(&'static str),
    /// Files that this program compresses, under the number of its method.
    Filter(u16, &'static [&'static str]),
}

/// An archive to make.
pub struct Coded {
    pub name: String,
    /// Of `text.txt`.
    pub method: Method,
    pub cipher: Cipher,
    by: By,
}

impl Coded {
    /// Makes the archive of a folder.
    pub fn make(&self, folder: &Path, out: &Path) {
        match self.by {
            By::SevenZip(method) => seven_zip(method, self.cipher, folder, out),
            By::InfoZip(options) => info_zip(options, folder, out),
            By::Zipfile(method) => zipfile(method, folder, out),
            By::Bsdtar(option) => bsdtar(option, folder, out),
            By::Filter(method, filter) => by_filter(method, filter, folder, out),
        }
    }
}

/// Writes files of several kinds into a folder: `text.txt` is the one that every method compresses.
pub fn sample(folder: &Path) {
    let mut random = fastrand::Rng::with_seed(12);
    let words: Vec<String> = (0..500)
        .map(|_| {
            (0..random.usize(2..9))
                .map(|_| random.lowercase())
                .collect()
        })
        .collect();
    let mut text = String::new();
    while text.len() < 700_000 {
        text.push_str(&words[random.usize(..words.len())]);
        text.push(if random.u8(..8) == 0 { '\n' } else { ' ' });
    }
    // Long runs, which bzip2 encodes by themselves.
    text.push_str(&"a".repeat(100_000));
    text.push_str(&"ab".repeat(50_000));
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(70_000)
        .collect();
    let files = [
        ("text.txt", text.as_bytes()),
        ("noise.bin", &noise),
        ("tiny.txt", b"tiny"),
        ("empty", b""),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("a file");
    }
}

const AES: [AesKey; 3] = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];

const ZSTD_FRAMES: &str = "
import subprocess, sys
data = sys.stdin.buffer.read()
for at in range(0, max(len(data), 1), 100000):
    frame = subprocess.run(['zstd', '-q'], input=data[at:at + 100000], capture_output=True, check=True)
    sys.stdout.buffer.write(frame.stdout)
";

const XZ_FILTERS: &str = "
import lzma, sys
filters = [{'id': lzma.FILTER_DELTA, 'dist': 3}, {'id': lzma.FILTER_X86}, {'id': lzma.FILTER_LZMA2, 'preset': 6}]
sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(), filters=filters))
";

const BZIP2_STREAMS: &str = "
import bz2, sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(bz2.compress(data[:300000], 1) + bz2.compress(data[300000:], 2))
";

/// What programs other than 7-Zip make.
#[rustfmt::skip]
const OTHERS: [(&str, Method, Cipher, By); 18] = [
    ("zip -9", Method::Deflated, Cipher::None, By::InfoZip(&["-9"])),
    ("zip -Z bzip2", Method::Bzip2, Cipher::None, By::InfoZip(&["-Z", "bzip2", "-1"])),
    ("zip -e", Method::Deflated, Cipher::ZipCrypto, By::InfoZip(&["-P", PASSWORD])),
    ("zip -0 -e", Method::Stored, Cipher::ZipCrypto, By::InfoZip(&["-0", "-P", PASSWORD])),
    ("zip -Z bzip2 -e", Method::Bzip2, Cipher::ZipCrypto, By::InfoZip(&["-1", "-Z", "bzip2", "-P", PASSWORD])),
    ("zipfile, LZMA", Method::Lzma, Cipher::None, By::Zipfile("LZMA")),
    ("zipfile, bzip2", Method::Bzip2, Cipher::None, By::Zipfile("BZIP2")),
    ("bsdtar, deflated", Method::Deflated, Cipher::None, By::Bsdtar("zip:compression=deflate")),
    ("bsdtar, ZipCrypto", Method::Deflated, Cipher::ZipCrypto, By::Bsdtar("zip:encryption=zipcrypt")),
    ("bsdtar, AES-128", Method::Deflated, Cipher::Aes(AES[0]), By::Bsdtar("zip:encryption=aes128")),
    ("bsdtar, AES-256", Method::Deflated, Cipher::Aes(AES[2]), By::Bsdtar("zip:encryption=aes256")),
    ("zstd", Method::Zstd, Cipher::None, By::Filter(93, &["zstd", "-q"])),
    ("zstd, the first number", Method::Zstd, Cipher::None, By::Filter(20, &["zstd", "-q", "-19", "--long"])),
    ("zstd, in frames", Method::Zstd, Cipher::None, By::Filter(93, &["python3", "-c", ZSTD_FRAMES])),
    ("xz", Method::Xz, Cipher::None, By::Filter(95, &["xz", "-9"])),
    ("xz, in blocks", Method::Xz, Cipher::None, By::Filter(95, &["xz", "--block-size=100000", "--check=sha256"])),
    ("xz, two filters", Method::Xz, Cipher::None, By::Filter(95, &["python3", "-c", XZ_FILTERS])),
    ("bzip2, two streams", Method::Bzip2, Cipher::None, By::Filter(12, &["python3", "-c", BZIP2_STREAMS])),
];

/// All kinds.
pub fn all() -> Vec<Coded> {
    let of_7zip = [
        ("Copy", Method::Stored),
        ("Deflate", Method::Deflated),
        ("Deflate64", Method::Deflated64),
        ("BZip2", Method::Bzip2),
        ("LZMA", Method::Lzma),
        ("PPMd", Method::Ppmd),
    ];
    let mut all = Vec::new();
    for (at, (option, method)) in of_7zip.into_iter().enumerate() {
        for cipher in [Cipher::None, Cipher::ZipCrypto, Cipher::Aes(AES[at % 3])] {
            if (method, cipher) != (Method::Stored, Cipher::None) {
                all.push(Coded {
                    name: format!("7-Zip, {method}, {cipher:?}"),
                    method,
                    cipher,
                    by: By::SevenZip(option),
                });
            }
        }
    }
    all.extend(OTHERS.map(|(name, method, cipher, by)| Coded {
        name: name.to_owned(),
        method,
        cipher,
        by,
    }));
    all
}

fn seven_zip(method: &str, cipher: Cipher, folder: &Path, out: &Path) {
    let mut command = tool("7zz");
    command.current_dir(folder);
    command.args(["a", "-tzip", "-mx=1", "-bd", "-bso0"]);
    command.arg(format!("-mm={method}"));
    let encryption = match cipher {
        Cipher::None => None,
        Cipher::ZipCrypto => Some("ZipCrypto".to_owned()),
        Cipher::Aes(key) => Some(format!("AES{}", key.bytes() * 8)),
    };
    if let Some(encryption) = encryption {
        command.arg(format!("-mem={encryption}"));
        command.arg(format!("-p{PASSWORD}"));
    }
    run(command.arg(out).arg(".")).ok("7zz");
}

fn info_zip(options: &[&str], folder: &Path, out: &Path) {
    let mut zip = tool("zip");
    zip.current_dir(folder).args(["-q", "-r"]).args(options);
    run(zip.arg(out).arg(".")).ok("zip");
}

fn zipfile(method: &str, folder: &Path, out: &Path) {
    const PROGRAM: &str = "
import os, sys, zipfile
folder, out, method = sys.argv[1:]
with zipfile.ZipFile(out, 'w', getattr(zipfile, 'ZIP_' + method)) as z:
    for name in sorted(os.listdir(folder)):
        z.write(os.path.join(folder, name), name)
";
    let args = [folder.as_os_str(), out.as_os_str(), method.as_ref()];
    python(PROGRAM, &args);
}

fn bsdtar(option: &str, folder: &Path, out: &Path) {
    let mut bsdtar = tool("bsdtar");
    bsdtar.current_dir(folder).env("LC_ALL", "C.UTF-8");
    bsdtar.args(["--format", "zip", "--options", option]);
    bsdtar.args(["--passphrase", PASSWORD]).arg("-cf").arg(out);
    run(bsdtar.args(["text.txt", "noise.bin", "tiny.txt", "empty"])).ok("bsdtar");
}

/// Each file compressed by a program from standard input to standard output, for methods that no program here
/// writes into an archive.
fn by_filter(method: u16, filter: &[&str], folder: &Path, out: &Path) {
    let items = ["text.txt", "noise.bin", "tiny.txt", "empty"].map(|name| {
        let path = folder.join(name);
        let content = fs::read(&path).expect("a file");
        let data = folder.with_extension("data");
        let mut command = tool(filter[0]);
        command.args(&filter[1..]);
        command.stdin(fs::File::open(&path).expect("a file"));
        command.stdout(fs::File::create(&data).expect("a file"));
        let status = command.status().expect("a program");
        assert!(status.success(), "{filter:?}");
        let mut item = Item::new(name, fs::read(&data).expect("its output"));
        fs::remove_file(&data).expect("removed");
        item.method = method;
        item.crc = crc32fast::hash(&content);
        item.sizes.0 = content.len() as u32;
        item.local_numbers = (item.crc, item.sizes.1, item.sizes.0);
        item
    });
    fs::write(out, Zip::of(items).finish()).expect("an archive");
}
