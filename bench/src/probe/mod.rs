//! Probing hosts: this one, and others over ssh. Lines come out, in the form of
//! [`isukit_analyze::host::Line`].
//!
//! A node is a thread that sends what it sees to one receiver. Nothing listens anywhere: what runs
//! on another host speaks through the pipes of ssh, and ends with them.

mod agent;
mod inventory;
mod local;
mod path;
mod portable;
mod ssh;
mod trim;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use isukit_analyze::host::check::Path;
use isukit_analyze::host::{Line, ServiceSpec};

pub use agent::{WORDS as AGENT_WORDS, ask_for, sampling_asked, serve};
pub use local::probe_here;
pub use path::{PathProbe, probe as probe_path};
pub use ssh::{RemoteOptions, probe_there};

/// What nodes say.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A line of a node.
    Line(Box<Line>),
    /// What a probe of a path found.
    Path(Path),
    /// Something that a person may want to know of a node.
    Notice(String),
}

/// How a node is to be sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The folder that is the root of the host.
    pub root: std::path::PathBuf,
    /// The time between two samples.
    pub interval: Duration,
    /// The time after which it ends; `None` goes on until it is stopped.
    pub duration: Option<Duration>,
    /// The services to watch; with none they are found.
    pub services: Vec<ServiceSpec>,
}

/// Ends what goes on, once and for all who hold it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Stops.
    pub fn press(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was pressed.
    pub fn is_pressed(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `at`, or until it is pressed; says whether it was.
    pub fn wait_until(&self, at: Instant) -> bool {
        let mut pressed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*pressed {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.1.wait_timeout(pressed, left);
            pressed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Sends a line to whoever receives them. When nobody does any more there is nothing left to do.
fn send(events: &Sender<Event>, line: Line) -> Result<(), Gone> {
    events.send(Event::Line(Box::new(line))).map_err(|_| Gone)
}

/// Nobody receives any more.
#[derive(Debug)]
struct Gone;

/// Milliseconds since the Unix epoch.
fn unix_ms() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    (now.unwrap_or_default().as_secs_f64() * 1e6).round() / 1e3
}
