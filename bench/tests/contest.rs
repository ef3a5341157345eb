//! The contest, for real: its scenario against its portal on SQLite, on MariaDB behind nginx, through
//! TLS, and against portals that lie.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

#[path = "../../scenarios/contest/target/tests/support/in_process.rs"]
mod in_process;
#[path = "../../scenarios/contest/target/tests/support/mariadb.rs"]
#[allow(dead_code)]
mod mariadb;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contest_target::Options;
use in_process::Server;
use serde_json::Value;
use support::free_port;

/// The scenario's folder.
fn folder() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/contest").to_owned()
}

/// Run the contest against `target` with further arguments.
#[track_caller]
fn contest(target: &str, more: &[&str]) -> support::Ran {
    let folder = folder();
    let mut args = vec![folder.as_str(), "--target", target, "--duration", "2s"];
    args.extend(more);
    support::run(&args)
}

#[track_caller]
fn passes(ran: &support::Ran) -> Value {
    let report = ran.report();
    assert_eq!(ran.code, 0, "{:#}", report["failures"]);
    assert_eq!(report["passed"], true);
    assert!(
        report["score"].as_f64().unwrap() > 100.0,
        "{}",
        report["score"]
    );
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.len() > 20);
    for check in checks {
        assert_eq!(check["failed"], 0, "{check}");
    }
    for phase in report["phases"].as_array().unwrap() {
        assert_eq!(phase["result"], "done", "{phase}");
    }
    report
}

#[test]
fn the_contest_passes_on_sqlite() {
    let options = Options {
        fixes: "all".parse().unwrap(),
        ..Options::default()
    };
    let portal = Server::start(options);
    let ran = contest(&format!("http://{}", portal.address), &["--threads", "2"]);
    let report = passes(&ran);
    let tags = report["score_breakdown"].as_array().unwrap();
    for tag in ["job_finished", "answer_read", "dashboard", "audience_view"] {
        let line = tags.iter().find(|line| line["name"] == tag).unwrap();
        assert!(line["count"].as_u64().unwrap() > 0, "{line}");
    }
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert!(names.contains(&"POST /worker/jobs/:id/report"), "{names:?}");
}

/// A portal that gets this wrong fails the run, and the report names the check.
#[track_caller]
fn check_lie(lie: &str, named: &str) {
    let options = Options {
        fixes: "index,nplus1".parse().unwrap(),
        lies: lie.parse().unwrap(),
        ..Options::default()
    };
    let portal = Server::start(options);
    let ran = contest(&format!("http://{}", portal.address), &[]);
    let report = ran.report();
    assert_eq!(ran.code, 1, "{lie}: {:#}", report["failures"]);
    let failures = report["failures"].to_string();
    assert!(failures.contains(named), "{lie}: {failures}");
}

#[test]
fn wrong_boards_are_caught() {
    check_lie("leaderboard", "the board");
    check_lie("stale", "at the end");
    check_lie("slow", "no complete reply within");
}

#[test]
fn wrong_files_are_caught() {
    check_lie("asset", "/assets/app.js: status 404");
    check_lie("hash", "/assets/app.css is not the file");
}

#[test]
fn wrong_sessions_and_results_are_caught() {
    check_lie("session", "a session is its own");
    check_lie("job-score", "a job has the result that was reported");
    check_lie("error-body", "should fail with");
}

#[test]
fn wrong_news_is_caught() {
    check_lie("lost-answer", "every member hears of the answer");
    check_lie("duplicate-notification", "every member hears of every job");
}

/// nginx with a configuration of its own; dropping it ends it.
struct Nginx {
    process: Child,
    plain: u16,
    tls: u16,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// In front of the portal at `upstream`, plain and with a certificate that signs itself.
    fn start(upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(at("cert.pem"), signed.cert.pem()).unwrap();
        std::fs::write(at("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let (plain, tls) = (free_port(), free_port());
        std::fs::write(
            at("nginx.conf"),
            configuration(folder.path(), upstream, plain, tls),
        )
        .unwrap();
        let mut command = Command::new("nginx");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .arg("-e")
            .arg(at("error.log"))
            .arg("-c")
            .arg(at("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().expect("nginx; scripts/setup installs it");
        let certificate = at("cert.pem");
        let nginx = Self {
            process,
            plain,
            tls,
            certificate,
            _folder: folder,
        };
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", tls)).is_err() {
            assert!(Instant::now() < end, "nginx does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(folder: &Path, upstream: &str, plain: u16, tls: u16) -> String {
    let folder = folder.display();
    format!(
        "worker_processes 1; daemon off; master_process off;
         pid {folder}/pid; error_log {folder}/error.log;
         events {{ worker_connections 4096; }}
         http {{
           access_log off; gzip on; gzip_types *; gzip_min_length 100;
           client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
           fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
           upstream portal {{ server {upstream}; keepalive 64; }}
           server {{
             listen 127.0.0.1:{plain};
             listen 127.0.0.1:{tls} ssl;
             ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
             location / {{
               proxy_pass http://portal; proxy_http_version 1.1;
               proxy_set_header Connection ''; proxy_set_header Host $host;
             }}
           }}
         }}"
    )
}

#[test]
fn the_contest_passes_on_mariadb_behind_nginx_and_through_tls() {
    let database = mariadb::MariaDb::start(&[]);
    let options = Options {
        database: Some(database.url().parse().unwrap()),
        fixes: "all".parse().unwrap(),
        db_threads: 8,
        ..Options::default()
    };
    let portal = Server::start(options);
    let nginx = Nginx::start(&portal.address.to_string());
    passes(&contest(&format!("http://127.0.0.1:{}", nginx.plain), &[]));
    let url = format!("https://localhost:{}", nginx.tls);
    let to = format!("::127.0.0.1:{}", nginx.tls);
    let certificate = nginx.certificate.display().to_string();
    let trusted = ["--cacert", &certificate, "--connect-to", &to];
    passes(&contest(&url, &trusted));
    let ran = contest(&url, &["--connect-to", &to]);
    assert_eq!(ran.code, 1);
    assert!(ran.report()["failures"].to_string().contains("--cacert"));
}
