//! A portal as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A portal as a process of its own.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Process {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_contest-target"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("contest-target starts");
        let out = child.stdout.take().expect("its stdout");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let line = BufReader::new(out).lines().next();
            let _ = tell.send(line.and_then(Result::ok).unwrap_or_default());
        });
        let line = told
            .recv_timeout(Duration::from_secs(60))
            .unwrap_or_default();
        let address = line.strip_prefix("listening on http://");
        let address = address.and_then(|it| it.parse().ok());
        Self {
            address: address.unwrap_or_else(|| {
                let _ = child.kill();
                panic!("contest-target does not listen: {line:?}")
            }),
            child,
        }
    }

    /// Ask it to end as Ctrl-C or an init does, and wait for it.
    pub(crate) fn end(&mut self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, signal).expect("it runs");
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match self.child.try_wait().expect("its status") {
                Some(status) => break status,
                None if Instant::now() > end => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
