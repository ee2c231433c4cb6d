//! A server of another maker on a port of this machine, which never outlives its test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::run;

/// How long a server may take to start on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// A server that is listening.
pub struct Listening {
    process: Child,
    /// `http://` and its address.
    pub base: String,
}

impl Listening {
    /// Starts the command that `make` makes for an address, and waits until it listens there.
    pub fn start(mut make: impl FnMut(&str) -> Command) -> Self {
        let mut name = String::new();
        // Between the choice of a port and its use another process may have taken it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = port.expect("a port").to_string();
            let mut command = make(&address);
            name = command.get_program().to_string_lossy().into_owned();
            command.stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = command.spawn().expect(&name);
            let is_up = || TcpStream::connect(&address).is_ok();
            let began = run::wait_until(LONGEST, || {
                is_up() || process.try_wait().expect("a child of ours").is_some()
            });
            assert!(began, "{name} neither listens nor ends");
            if process.try_wait().expect("a child of ours").is_none() {
                let base = format!("http://{address}");
                return Self { process, base };
            }
        }
        panic!("{name} does not start");
    }
}

/// A configuration with changes. What is changed must be in it once.
pub fn changed(configuration: &str, changes: &[(&str, String)]) -> String {
    let configuration = configuration.to_owned();
    changes.iter().fold(configuration, |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
