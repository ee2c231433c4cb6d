//! A blob behind several fault nodes, and reads of it that are compared.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aiozfs::content::{Cid, Importer, Profile, Tree, Verified, Version};
use aiozfs::gateways::{Gateways, GatewaysOptions, HttpBlocks, Member, UrlOf};
use aiozfs::http::{Http, HttpOptions};
use aiozfs::serve::{Blob, Node};
use aiozfs::source::{Blocks, Error, Memory, Priority, Result, Retry, Source};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::fault::FaultNode;
use super::forger::Forger;

pub const SIZE: usize = 600_000;

/// How long a read of one gateway is tried in these tests.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// Small leaves and narrow nodes, so that there are many.
const PROFILE: Profile = Profile::new("small", 16 << 10, 8, true, Version::V1);

/// A blob, its CID, and the blocks of its tree.
pub struct Content {
    pub bytes: Vec<u8>,
    pub cid: Cid,
    pub blocks: HashMap<String, Vec<u8>>,
}

pub fn content() -> Content {
    Content::of(super::tree::bytes(7, SIZE))
}

impl Content {
    /// In small leaves. The fault nodes that serve it have the inner blocks of
    /// its tree, and give leaves as ranges alone.
    pub fn of(bytes: Vec<u8>) -> Self {
        let mut blocks = HashMap::new();
        let keep = |cid: &Cid, block: &[u8]| {
            blocks.insert(cid.to_string(), block.to_vec());
        };
        let mut importer = Importer::with_nodes(PROFILE, keep);
        importer.push(&bytes);
        let cid = importer.finish();
        Self { bytes, cid, blocks }
    }

    pub fn node(&self) -> FaultNode {
        FaultNode::with_blocks(self.bytes.clone(), self.blocks.clone())
    }

    /// A node that serves until it is dropped, and before it a relay that may be told to lie. It
    /// gives leaves as blocks, too.
    pub fn relayed(&self) -> (Runtime, Forger) {
        let runtime = Runtime::new().expect("a runtime");
        let tree = Tree::import(&self.bytes[..], PROFILE, |_| true).expect("read");
        assert_eq!(tree.cid(), self.cid);
        let node = Node::new();
        node.publish(Blob {
            cid: self.cid,
            name: "blob".into(),
            size: self.bytes.len() as u64,
            source: Arc::new(Memory::new("blob", self.bytes.clone())),
            tree: Some(Arc::new(tree)),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let addr = listener.local_addr().expect("an address");
        runtime.spawn(async move { node.serve(listener, std::future::pending()).await });
        (runtime, Forger::before(addr))
    }

    pub fn nodes(&self) -> [FaultNode; 3] {
        [self.node(), self.node(), self.node()]
    }
}

/// The CID of some bytes as `aiozfs serve` counts it, and all blocks of its tree.
pub fn import(bytes: &[u8]) -> (Cid, HashMap<String, Vec<u8>>) {
    let mut blocks = HashMap::new();
    for leaf in bytes.chunks(1 << 20) {
        let mut importer = Importer::new(Profile::UNIXFS_V1_2025);
        importer.push(leaf);
        blocks.insert(importer.finish().to_string(), leaf.to_vec());
    }
    let keep = |cid: &Cid, block: &[u8]| {
        blocks.insert(cid.to_string(), block.to_vec());
    };
    let mut importer = Importer::with_nodes(Profile::UNIXFS_V1_2025, keep);
    importer.push(bytes);
    let cid = importer.finish();
    (cid, blocks)
}

pub fn options() -> HttpOptions {
    HttpOptions {
        idle_timeout: Duration::from_secs(1),
        pinned: false,
        ..HttpOptions::default()
    }
}

/// The blob through these base URLs; nothing verifies it.
pub fn gateways(bases: &[String], stripe: bool) -> Gateways {
    let members = bases.iter().map(|base| {
        let http = Http::new(&format!("{base}/blob"), options()).expect("a usable URL");
        Member {
            name: http.origin().clone(),
            source: Arc::new(http),
            weight: 1.0,
        }
    });
    let spread = GatewaysOptions {
        stripe,
        ..GatewaysOptions::default()
    };
    Gateways::with(members.collect(), &spread)
}

/// The CID through these base URLs, verified.
pub fn verified(cid: Cid, bases: &[String]) -> Arc<dyn Source> {
    let gateways = gateways(bases, false);
    let urls = bases.iter().cloned().map(|base| {
        let url: UrlOf = Box::new(move |cid: &str| format!("{base}/ipfs/{cid}"));
        (url, options())
    });
    let set = gateways.set().clone();
    let blocks: Arc<dyn Blocks> = Arc::new(HttpBlocks::new(urls.collect(), set, PATIENCE));
    let data = Arc::new(Retry::new(Arc::new(gateways), PATIENCE));
    Arc::new(Verified::new(cid, data, blocks))
}

pub fn bases(nodes: &[FaultNode]) -> Vec<String> {
    nodes.iter().map(FaultNode::base).collect()
}

pub async fn read(source: &dyn Source, range: Range<u64>, priority: Priority) -> Result<Vec<u8>> {
    let mut stream = source.read(range.clone(), priority);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        assert_eq!(chunk.offset, range.start + bytes.len() as u64, "in order");
        bytes.extend_from_slice(&chunk.bytes);
    }
    assert_eq!(bytes.len() as u64, range.end - range.start, "all of it");
    Ok(bytes)
}

/// Reads here and there, one after the other and at once, and compares. Says what failed.
pub async fn reads(source: &dyn Source, blob: &[u8]) -> Vec<Error> {
    let one = |at: usize, len: usize| async move {
        let range = at as u64..(at + len) as u64;
        match read(source, range, Priority::Demand).await {
            Ok(got) => {
                assert!(got == blob[at..at + len], "wrong bytes at {at}");
                None
            }
            Err(error) => Some(error),
        }
    };
    let mut failed: Vec<Option<Error>> = Vec::new();
    for at in [0, 100_000, 50_001] {
        failed.push(one(at, 60_000).await);
    }
    failed.extend(join_all((0..6).map(|i| one(i * 90_000, 90_000))).await);
    failed.into_iter().flatten().collect()
}
