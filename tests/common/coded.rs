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

type Make = dyn Fn(&Path, &Path);

/// An archive to make.
pub struct Coded {
    pub name: String,
    /// Of `text.txt`.
    pub method: Method,
    pub cipher: Cipher,
    make: Box<Make>,
}

impl Coded {
    /// Makes the archive of a folder.
    pub fn make(&self, folder: &Path, out: &Path) {
        (self.make)(folder, out);
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

/// All kinds.
pub fn all() -> Vec<Coded> {
    const AES: [AesKey; 3] = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];
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
        let ciphers = [Cipher::None, Cipher::ZipCrypto, Cipher::Aes(AES[at % 3])];
        for cipher in ciphers {
            if (method, cipher) == (Method::Stored, Cipher::None) {
                continue;
            }
            let make = move |folder: &Path, out: &Path| seven_zip(option, cipher, folder, out);
            all.push(Coded {
                name: format!("7-Zip, {method}, {cipher:?}"),
                method,
                cipher,
                make: Box::new(make),
            });
        }
    }
    let mut add = |name: &str, method, cipher, make: fn(&Path, &Path)| {
        let (name, make) = (name.to_owned(), Box::new(make));
        all.push(Coded {
            name,
            method,
            cipher,
            make,
        });
    };
    let zip_crypto = Cipher::ZipCrypto;
    add("zip -9", Method::Deflated, Cipher::None, |folder, out| {
        info_zip(&["-9"], folder, out)
    });
    add(
        "zip -Z bzip2",
        Method::Bzip2,
        Cipher::None,
        |folder, out| {
            info_zip(&["-Z", "bzip2", "-1"], folder, out);
        },
    );
    add("zip -e", Method::Deflated, zip_crypto, |folder, out| {
        info_zip(&["-P", PASSWORD], folder, out);
    });
    add("zip -0 -e", Method::Stored, zip_crypto, |folder, out| {
        info_zip(&["-0", "-P", PASSWORD], folder, out);
    });
    add(
        "zip -Z bzip2 -e",
        Method::Bzip2,
        zip_crypto,
        |folder, out| {
            info_zip(&["-1", "-Z", "bzip2", "-P", PASSWORD], folder, out);
        },
    );
    add("zipfile, LZMA", Method::Lzma, Cipher::None, |f, out| {
        zipfile("LZMA", f, out)
    });
    add("zipfile, bzip2", Method::Bzip2, Cipher::None, |f, out| {
        zipfile("BZIP2", f, out)
    });
    add(
        "bsdtar, deflated",
        Method::Deflated,
        Cipher::None,
        |f, out| {
            bsdtar("zip:compression=deflate", f, out);
        },
    );
    add(
        "bsdtar, ZipCrypto",
        Method::Deflated,
        zip_crypto,
        |f, out| {
            bsdtar("zip:encryption=zipcrypt", f, out);
        },
    );
    add(
        "bsdtar, AES-128",
        Method::Deflated,
        Cipher::Aes(AES[0]),
        |f, out| {
            bsdtar("zip:encryption=aes128", f, out);
        },
    );
    add(
        "bsdtar, AES-256",
        Method::Deflated,
        Cipher::Aes(AES[2]),
        |f, out| {
            bsdtar("zip:encryption=aes256", f, out);
        },
    );
    add("zstd", Method::Zstd, Cipher::None, |f, out| {
        by_filter(93, &["zstd", "-q"], f, out)
    });
    add(
        "zstd, the first number",
        Method::Zstd,
        Cipher::None,
        |f, out| {
            by_filter(20, &["zstd", "-q", "-19", "--long"], f, out);
        },
    );
    add("zstd, in frames", Method::Zstd, Cipher::None, |f, out| {
        let frames = "import subprocess, sys\ndata = sys.stdin.buffer.read()\nfor at in range(0, len(data), 100000):\n    sys.stdout.buffer.write(subprocess.run(['zstd', '-q'], input=data[at:at + 100000], capture_output=True, check=True).stdout)\nif not data: sys.stdout.buffer.write(subprocess.run(['zstd', '-q'], input=data, capture_output=True, check=True).stdout)";
        by_filter(93, &["python3", "-c", frames], f, out);
    });
    add("xz", Method::Xz, Cipher::None, |f, out| {
        by_filter(95, &["xz", "-9"], f, out)
    });
    add("xz, in blocks", Method::Xz, Cipher::None, |f, out| {
        by_filter(95, &["xz", "--block-size=100000", "--check=sha256"], f, out);
    });
    add("xz, two filters", Method::Xz, Cipher::None, |f, out| {
        let chain = "import lzma, sys\nfilters = [{'id': lzma.FILTER_DELTA, 'dist': 3}, {'id': lzma.FILTER_X86}, {'id': lzma.FILTER_LZMA2, 'preset': 6}]\nsys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(), filters=filters))";
        by_filter(95, &["python3", "-c", chain], f, out);
    });
    add(
        "bzip2, two streams",
        Method::Bzip2,
        Cipher::None,
        |f, out| {
            let streams = "import bz2, sys\ndata = sys.stdin.buffer.read()\nsys.stdout.buffer.write(bz2.compress(data[:300000], 1) + bz2.compress(data[300000:], 2))";
            by_filter(12, &["python3", "-c", streams], f, out);
        },
    );
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
