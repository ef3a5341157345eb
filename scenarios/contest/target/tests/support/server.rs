//! Portals: in this process, or as a process of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contest_target::{Options, Portal};
use tokio::sync::oneshot;

/// A portal in this process; dropping it stops it and waits for its end.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
                let listener = listener.expect("a free port");
                let portal = Portal::open(options).await.expect("a portal");
                tell.send(listener.local_addr().expect("an address"))
                    .unwrap();
                let shutdown = async { stopped.await.unwrap_or(()) };
                portal.serve(listener, shutdown).await;
            });
        });
        let address = told
            .recv_timeout(Duration::from_secs(60))
            .expect("it listens");
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the portal panicked"
            );
        }
    }
}

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
