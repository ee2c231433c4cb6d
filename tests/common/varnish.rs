//! Varnish with the configuration that aiozfs comes with.

use std::fs;
use std::net::SocketAddr;

use super::tree::TempDir;

use super::listening::{Listening, changed};
use super::{run, tree};

const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/fleet/varnish.vcl"
);

/// A cache that never outlives its test. Its own child ends when it does.
pub struct Varnish {
    _server: Listening,
    _state: TempDir,
    /// `http://` and its address.
    pub base: String,
}

impl Varnish {
    /// The shipped cache in front of a gateway.
    pub fn cache(gateway: SocketAddr) -> Self {
        let shipped = fs::read_to_string(SHIPPED).expect("the shipped configuration");
        let changes = [
            ("127.0.0.1\"", format!("{}\"", gateway.ip())),
            ("\"8081\"", format!("\"{}\"", gateway.port())),
        ];
        let vcl = changed(&shipped, &changes);
        let state = tree::temp();
        let file = state.path().join("aiozfs.vcl");
        fs::write(&file, vcl).expect("a file");
        let server = Listening::start(|address| {
            let mut command = run::tool("varnishd");
            command.args(["-F", "-j", "none", "-s", "malloc,64m", "-a", address]);
            command.arg("-f").arg(&file);
            command.arg("-n").arg(state.path().join("work"));
            command
        });
        Self {
            base: server.base.clone(),
            _server: server,
            _state: state,
        }
    }
}
