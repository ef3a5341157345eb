//! A MariaDB of our own in a temporary folder, for tests: started, waited for, and killed.
//!
//! Needs nothing but `tempfile` and the programs that `scripts/setup` installs, so that the tests of
//! another crate can include this file with `#[path]`.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Making the system tables or coming up takes no longer than this on a machine that works at all.
const PATIENCE: Duration = Duration::from_secs(90);
/// Another program may take the free port before the server does.
const ATTEMPTS: usize = 3;
/// A user who may use the database `contest` and set the server's variables.
const INIT: &str = "CREATE DATABASE IF NOT EXISTS contest;\n\
    CREATE USER IF NOT EXISTS 'contest'@'%' IDENTIFIED BY 'secret-of-a-test';\n\
    GRANT ALL ON *.* TO 'contest'@'%';\n";

/// A server that runs; dropping it kills it and removes its data.
pub(crate) struct MariaDb {
    server: Child,
    port: u16,
    folder: TempDir,
}

impl MariaDb {
    /// Start a server with further options, such as `--slow-query-log`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let log = folder.path().join("install.log");
        let mut install = program("mariadb-install-db");
        install
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(format!("--datadir={}", data.display()))
            // A server that starts clears its temporary folder, of other servers' tables too.
            .arg(format!("--tmpdir={}", folder.path().display()));
        as_root(&mut install);
        let mut install = spawn(install, &log);
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match install.try_wait().expect("its status") {
                Some(status) => break status,
                None if Instant::now() > end => {
                    let _ = install.kill();
                    panic!("mariadb-install-db takes too long:\n{}", text(&log));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert!(
            status.success(),
            "mariadb-install-db failed:\n{}",
            text(&log)
        );
        fs::write(folder.path().join("init.sql"), INIT).expect("init.sql");
        for _ in 0..ATTEMPTS {
            if let Some((server, port)) = start(folder.path(), options) {
                return Self {
                    server,
                    port,
                    folder,
                };
            }
        }
        panic!(
            "mariadbd does not come up:\n{}",
            text(&folder.path().join("server.log"))
        );
    }

    /// The address of the database `contest`.
    pub(crate) fn url(&self) -> String {
        format!(
            "mysql://contest:secret-of-a-test@127.0.0.1:{}/contest",
            self.port
        )
    }

    /// The folder of the server's files; it writes relative paths below `data` in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of its unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // Its data go with it: there is nothing that it should save.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A server that answers, or nothing if it has ended.
fn start(folder: &Path, options: &[&str]) -> Option<(Child, u16)> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let file = |name: &str| folder.join(name).display().to_string();
    let mut server = program("mariadbd");
    server
        .args([
            "--no-defaults",
            "--skip-networking=0",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
        ])
        .arg(format!("--datadir={}", file("data")))
        .arg(format!("--tmpdir={}", folder.display()))
        .arg(format!("--socket={}", file("socket")))
        .arg(format!("--pid-file={}", file("pid")))
        .arg(format!("--init-file={}", file("init.sql")))
        .arg(format!("--port={port}"))
        .args(options);
    as_root(&mut server);
    let mut server = spawn(server, &folder.join("server.log"));
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if server.try_wait().expect("its status").is_some() {
            return None;
        }
        if greets(port) {
            return Some((server, port));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = server.kill();
    let _ = server.wait();
    None
}

/// Whether a server says the first word, which it does once it has read its init file.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    stream.read(&mut [0; 64]).is_ok_and(|read| read > 0)
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let out = File::create(log).expect("a log file");
    let err = out.try_clone().expect("the same log file");
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let started = command.spawn();
    started.unwrap_or_else(|cause| panic!("{command:?}: {cause}: run scripts/setup"))
}

/// A program that may live where only root's PATH looks.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.find(|folder| folder.join(name).is_file());
    let found = found.unwrap_or_else(|| panic!("there is no {name}: run scripts/setup"));
    Command::new(found.join(name))
}

/// MariaDB refuses to run as root unless it is told to.
fn as_root(command: &mut Command) {
    let id = Command::new("id").arg("-u").output().expect("id -u");
    if id.stdout.trim_ascii() == b"0" {
        command.arg("--user=root");
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
