//! Prints a file of an archive: `cargo run --example read -- ARCHIVE PATH [GATEWAY]...`
//!
//! ARCHIVE is a file, an http(s) URL or a CID. PATH names a file in it.

use std::error::Error;
use std::io::Write;

use aiozfs::volume::{self, Location, Options, Server};

/// How many bytes are read at once. What follows them is fetched meanwhile.
const PIECE: u32 = 512 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    print(&arguments, &mut std::io::stdout()).await
}

/// Writes the file that the arguments name to `out`.
pub async fn print(arguments: &[String], out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let [archive, path, gateways @ ..] = arguments else {
        return Err("usage: read ARCHIVE PATH [GATEWAY]...".into());
    };
    let mut options = Options::default();
    options.servers.servers = gateways.iter().map(Server::new).collect();
    let volume = volume::open(&Location::parse(archive)?, &options).await?;
    let file = volume.find(path.as_bytes(), true).await?;
    let moment = volume.open(file)?;
    let mut offset = 0;
    loop {
        let bytes = volume.read(file, moment, offset, PIECE).await?;
        if bytes.is_empty() {
            return Ok(());
        }
        out.write_all(&bytes)?;
        offset += bytes.len() as u64;
    }
}
