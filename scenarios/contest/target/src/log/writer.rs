//! A file written by a thread of its own, so that a slow disk does not hold up requests one by one.
//!
//! The queue is bounded; whoever finds it full waits, because no entry may be lost.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Entries that may wait to be written.
const WAITING: usize = 16_384;
/// An entry is in the file at most this much later.
const FLUSH: Duration = Duration::from_millis(250);

/// The way to the thread that writes a log. The last one that is dropped waits for the file.
#[derive(Debug)]
pub(crate) struct Writer {
    entries: Option<SyncSender<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Open the file for appending and start its thread; `head` is written to an empty file.
    pub(crate) fn open(path: &Path, head: &str) -> std::io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() == 0 {
            file.write_all(head.as_bytes())?;
        }
        let (entries, queue) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(file, &queue))?;
        Ok(Self {
            entries: Some(entries),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Append an entry, which ends its own lines; blocks while too many wait.
    pub(crate) fn append(&self, entry: String) {
        if let Some(entries) = &self.entries {
            // The thread ends only after this sender.
            let _ = entries.send(entry);
        }
    }

    /// Append an entry without blocking the thread that this runs on.
    pub(crate) async fn append_later(&self, mut entry: String) {
        let Some(entries) = &self.entries else { return };
        while let Err(TrySendError::Full(back)) = entries.try_send(entry) {
            entry = back;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.entries = None;
        if let Ok(mut thread) = self.thread.lock()
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn write(file: File, queue: &Receiver<String>) {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    // When what is buffered must be in the file.
    let mut due = None::<Instant>;
    loop {
        let wait = due.map_or(FLUSH, |due| due.saturating_duration_since(Instant::now()));
        match queue.recv_timeout(wait) {
            Ok(entry) => {
                // A full disk must not stop the portal; what fits later is written later.
                let _ = file.write_all(entry.as_bytes());
                due.get_or_insert_with(|| Instant::now() + FLUSH);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            let _ = file.flush();
            due = None;
        }
    }
    let _ = file.flush();
}
