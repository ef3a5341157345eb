//! Scenarios for the whole-run tests: a folder made of texts, and a target that does what each
//! request asks of it and keeps what it was sent.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use url::form_urlencoded;

use super::{Asked, Conn, Ran, Target, run};

/// The folder of a scenario; it goes with its test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(toml: &str, script: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder
            .file("scenario.toml", toml)
            .file("scenario.luau", script)
    }

    /// With one more file.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.0.path().join(name), content).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// `isukit run FOLDER --target URL ARGS --format json`, to its end.
    #[track_caller]
    pub(crate) fn run(&self, url: &str, args: &[&str]) -> Ran {
        let mut all = vec![self.path(), "--target", url];
        all.extend(args);
        let ran = run(&all);
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }
}

/// A phase in which one user runs `main` once.
pub(crate) const ONCE: &str = "[[phase]]\nname = \"once\"\nrun = \"main\"\ntime_limit = \"5s\"\n";

/// A script whose `main` is `body`, which begins on line 2; `c` is the user's client.
pub(crate) fn main_of(body: &str) -> String {
    format!("return {{ main = function(u) local c = u.client\n{body}\nend }}")
}

/// What is wrong with a run, all in one text.
pub(crate) fn wrongs(ran: &Ran) -> String {
    let Ok(report) = serde_json::from_str::<Value>(&ran.stdout) else {
        return ran.stderr.clone();
    };
    let mut text = String::new();
    let lists = [&report["failures"]].into_iter().chain(
        report["phases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|phase| &phase["failures"]),
    );
    for failure in lists.flat_map(|list| list.as_array().unwrap()) {
        text.push_str(failure.as_str().unwrap());
        text.push('\n');
    }
    for error in report["errors_by_kind"].as_array().unwrap() {
        let samples = error["samples"].as_array().unwrap();
        for sample in samples {
            let kind = error["kind"].as_str().unwrap();
            text.push_str(&format!("{kind}: {}\n", sample["detail"].as_str().unwrap()));
        }
    }
    text
}

/// A request with its time.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) asked: Asked,
    pub(crate) at: Instant,
    /// Which connection it came on.
    pub(crate) connection: usize,
}

impl Seen {
    /// Method, path and query.
    pub(crate) fn line(&self) -> &str {
        let line = self.asked.head.lines().next().unwrap();
        line.strip_suffix(" HTTP/1.1").unwrap()
    }

    /// Path and query.
    pub(crate) fn path(&self) -> &str {
        self.line().split_once(' ').unwrap().1
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.asked.header(name).unwrap_or_default()
    }

    /// A value of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        values(self.path(), name).next()
    }
}

/// The values of a name in a query.
fn values<'a>(path: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .filter(move |(given, _)| given == name)
        .map(|(_, value)| value.into_owned())
}

/// A target that does what the query of each request says: `status`, `type` (Content-Type), `h`
/// (header lines), `delay` (milliseconds), `body` (else the request's own), `end=close` (close
/// instead of a reply), `end=silent` (never answer), `end=drip` (a byte of the body now and then).
pub(crate) struct App {
    target: Target,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl App {
    pub(crate) fn start() -> Self {
        Self::with(|_| None)
    }

    /// The same, but `special` answers what it wants to.
    pub(crate) fn with(special: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let target = Target::start(move |conn| {
            loop {
                let asked = conn.request()?;
                let seen = Seen {
                    asked,
                    at: Instant::now(),
                    connection: conn.number,
                };
                notes.lock().unwrap().push(seen.clone());
                match special(&seen) {
                    Some(bytes) => conn.say(bytes)?,
                    None => answer(conn, &seen)?,
                }
            }
        });
        Self { target, seen }
    }

    pub(crate) fn url(&self) -> String {
        self.target.url()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.target.accepted()
    }

    /// Everything that was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

fn answer(conn: &mut Conn, seen: &Seen) -> Option<()> {
    let query = |name: &str| seen.query(name);
    if let Some(delay) = query("delay") {
        sleep(Duration::from_millis(delay.parse().unwrap()));
    }
    match query("end").as_deref() {
        Some("close") => return None,
        Some("silent") => return conn.until_closed(),
        Some("drip") => {
            conn.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                conn.say("x")?;
                sleep(Duration::from_millis(20));
            }
        }
        _ => {}
    }
    let status = query("status").unwrap_or_else(|| "200".to_owned());
    let mut head = format!("HTTP/1.1 {status} Said\r\n");
    if let Some(media_type) = query("type") {
        head.push_str(&format!("Content-Type: {media_type}\r\n"));
    }
    for line in values(seen.path(), "h") {
        head.push_str(&line);
        head.push_str("\r\n");
    }
    let body = query("body").map_or_else(|| seen.asked.body.clone(), String::into_bytes);
    if matches!(&*status, "204" | "304") {
        head.push_str("\r\n");
        return conn.say(head);
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    if !seen.line().starts_with("HEAD ") {
        bytes.extend_from_slice(&body);
    }
    conn.say(bytes)
}
