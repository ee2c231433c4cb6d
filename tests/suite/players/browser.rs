//! A headless Chromium that plays all cases in one page, and the server that it has the page from.
//! The page asks for one case after the other, and reports what came of each; nothing drives the
//! browser.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use crate::common::tree::TempDir;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::http::{Response, StatusCode, header};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::Outcome;
use super::packages::{self, Package, Text};
use crate::common::{registry, run, tree};

/// Each case takes two to three seconds, several at once, and the page gives a case up after 15
/// seconds. This is for a page that says nothing any more.
const SILENCE: Duration = Duration::from_secs(30);

const FLAGS: [&str; 11] = [
    "--headless",
    // Chromium's sandbox does not work as root or in a container.
    "--no-sandbox",
    "--disable-gpu",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    // Requests of its own to the network.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    // Containers often have a /dev/shm of 64 MB.
    "--disable-dev-shm-usage",
];

/// One player with one playlist. The page reads it as JSON.
#[derive(Serialize)]
pub struct Case {
    name: String,
    player: &'static str,
    url: String,
    duration: u32,
    rate: u32,
    /// Lines of text that are shown in what is played: at the start, and near the end.
    text: Option<[String; 2]>,
    key_frames: bool,
    key: Option<Key>,
}

#[derive(Serialize)]
struct Key {
    id: &'static str,
    value: &'static str,
}

impl Case {
    pub fn new(package: &Package, playlist: &str, url: &str, player: &'static str) -> Self {
        let shown = [packages::line(0), packages::line(packages::DURATION - 2)];
        let key = Key {
            id: packages::KEY_ID,
            value: packages::KEY,
        };
        Self {
            name: format!("{player}, {}/{playlist}", package.name),
            player,
            url: url.to_owned(),
            duration: packages::DURATION,
            rate: packages::RATE,
            text: (package.text != Text::None).then_some(shown),
            key_frames: package.key_frames && playlist == packages::HLS,
            key: package.encrypted.then_some(key),
        }
    }
}

/// What the page reports of a case.
#[derive(Deserialize)]
struct Report {
    name: String,
    /// Empty if there is none.
    failure: String,
    /// In milliseconds.
    took: u64,
}

/// Plays all cases. Should a page hang, another one plays those that it had not begun.
pub fn play(cases: &[Case]) -> Vec<Outcome> {
    let (page, reports) = Page::new(cases);
    let mut outcomes: Vec<Outcome> = Vec::new();
    while outcomes.len() < cases.len() {
        let chromium = Chromium::open(&page.url);
        let before = outcomes.len();
        while outcomes.len() < cases.len() {
            let Ok(report) = reports.recv_timeout(SILENCE) else {
                break;
            };
            if outcomes.iter().any(|outcome| outcome.name == report.name) {
                // From a page that was taken for one that hangs.
                continue;
            }
            outcomes.push(Outcome {
                name: report.name,
                took: Duration::from_millis(report.took),
                failure: (!report.failure.is_empty()).then_some(report.failure),
            });
        }
        let left = page.begun();
        let left = left.filter(|name| !outcomes.iter().any(|outcome| outcome.name == *name));
        let lost: Vec<_> = left.map(str::to_owned).collect();
        outcomes.extend(lost.into_iter().map(|name| Outcome {
            name,
            took: SILENCE,
            failure: Some(
                "the page hangs, because of this case or of another on the page".to_owned(),
            ),
        }));
        assert!(
            outcomes.len() > before,
            "Chromium plays nothing. It says:\n{}",
            chromium.log()
        );
    }
    outcomes
}

/// The server of the page, of the players, and of the cases.
struct Page {
    url: String,
    files: Arc<Files>,
    _runtime: Runtime,
}

struct Files {
    /// The cases, and each as the page reads it.
    cases: Vec<(String, Vec<u8>)>,
    /// How many the page has begun, or would have.
    begun: AtomicUsize,
    page: PathBuf,
    players: PathBuf,
    reports: Sender<Report>,
}

impl Page {
    fn new(cases: &[Case]) -> (Self, Receiver<Report>) {
        let installed = registry::npm("players-npm", include_str!("package.json"));
        let (reports, received) = mpsc::channel();
        let cases = cases.iter().map(|case| {
            let json = serde_json::to_vec(case).expect("plain data");
            (case.name.clone(), json)
        });
        let files = Arc::new(Files {
            cases: cases.collect(),
            begun: AtomicUsize::new(0),
            page: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/players/page"),
            players: installed.join("node_modules"),
            reports,
        });
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let served = files.clone();
        let handler = move |request: Request| answer(served.clone(), request);
        let server = axum::serve(listener, handler.into_make_service());
        runtime.spawn(server.into_future());
        let page = Self {
            url: format!("http://{addr}/page/index.html"),
            files,
            _runtime: runtime,
        };
        (page, received)
    }

    fn begun(&self) -> impl Iterator<Item = &str> {
        let begun = self.files.begun.load(Relaxed);
        let cases = self.files.cases.iter().take(begun);
        cases.map(|(name, _)| name.as_str())
    }
}

async fn answer(files: Arc<Files>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path == "/report" {
        let body = to_bytes(request.into_body(), 1 << 20).await;
        let body = body.expect("the page sends a short report");
        let report = serde_json::from_slice(&body).expect("the page sends a report");
        // Nobody waits for it any more once the test has given up.
        let _ = files.reports.send(report);
        return Response::new(Body::empty());
    }
    let found = if path == "/next" {
        let case = files.cases.get(files.begun.fetch_add(1, Relaxed));
        Ok(case.map_or_else(|| b"null".to_vec(), |(_, json)| json.clone()))
    } else if let Some(name) = path.strip_prefix("/page/") {
        fs::read(files.page.join(name))
    } else {
        fs::read(files.players.join(path.trim_start_matches('/')))
    };
    let kind = match Path::new(&path).extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        _ => "application/json",
    };
    let answer = Response::builder().header(header::CONTENT_TYPE, kind);
    let answer = match found {
        Ok(bytes) => answer.body(Body::from(bytes)),
        // Such as the icon that a browser asks every site for.
        Err(_) => answer.status(StatusCode::NOT_FOUND).body(Body::empty()),
    };
    answer.expect("a valid answer")
}

/// A Chromium with a profile of its own. All of its processes end with it.
struct Chromium {
    process: Child,
    profile: TempDir,
}

impl Chromium {
    fn open(url: &str) -> Self {
        let profile = tree::temp();
        let log = File::create(profile.path().join("log")).expect("a file");
        let mut command = run::tool("chromium");
        command
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            // It leaves files behind when it is killed.
            .env("TMPDIR", profile.path())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        let process = command.spawn().expect("chromium, which was there");
        Self { process, profile }
    }

    /// The end of what it said.
    fn log(&self) -> String {
        let log = fs::read(self.profile.path().join("log")).unwrap_or_default();
        let from = log.len().saturating_sub(2000);
        String::from_utf8_lossy(&log[from..]).into_owned()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.process);
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
    }
}
