//! A portal in this process.
//!
//! Needs nothing but this crate and `tokio`, so that the tests of another crate can include this
//! file with `#[path]`.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

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
