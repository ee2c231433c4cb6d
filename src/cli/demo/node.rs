//! The node of the demo.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::Failure;
use crate::content::{Cid, Profile, Tree};
use crate::serve::{Blob, Node};
use crate::source::Memory;

/// The name of the archive at the node.
const NAME: &str = "holiday.zip";

/// A running node.
pub(super) struct Served {
    pub(super) cid: Cid,
    /// Its URL.
    pub(super) node: String,
}

/// Starts a node that has the archive. It runs until the runtime ends.
pub(super) fn serve(runtime: &Runtime, archive: &'static [u8]) -> Result<Served, Failure> {
    let failed = |e| Failure::new(format!("cannot start a node on 127.0.0.1: {e}"));
    let tree = Tree::import(archive, Profile::UNIXFS_V1_2025, |_| true);
    let tree = tree.map_err(Failure::new)?;
    let cid = tree.cid();
    let node = Node::new();
    node.publish(Blob {
        cid,
        name: NAME.to_owned(),
        size: archive.len() as u64,
        source: Arc::new(Memory::new(NAME, archive)),
        tree: Some(Arc::new(tree)),
    });
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    runtime.spawn(async move {
        if let Err(e) = node.serve(listener, pending()).await {
            log::error!("the node ended: {e}");
        }
    });
    Ok(Served {
        cid,
        node: format!("http://{address}"),
    })
}
