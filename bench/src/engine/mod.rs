//! The load engine: users on shards, phase by phase, counted once a second.
//!
//! ```text
//! Plan -> run -> one thread a shard: users <-> connections <-> the target
//!                    | counts, once a second
//!                    v
//!                collector -> Outcome
//! ```
//!
//! Invariants: a shard shares nothing with another one and sends nothing per request; each number
//! has one owner; the engine knows nothing of URLs, scenarios, files or terminals; whatever the
//! target does, a phase ends at its end plus its drain.

mod clock;
mod collector;
mod coordination;
mod cx;
mod events;
mod fault;
mod io;
pub mod machine;
mod names;
mod plan;
mod seats;
mod shard;
mod stream;
mod tally;
mod timers;
mod user;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

pub use clock::{Clock, Nanos, nanos};
pub use collector::{PhaseTotals, SeriesPoint, Totals};
pub use coordination::{Address, StopLevel, StopSwitch};
pub use cx::Cx;
pub use events::{EventSender, event_queue, write_events};
pub use fault::{Fault, FaultBook, FaultEntry, FaultKind, FaultSample};
pub use names::Names;
pub use plan::{Load, Phase, Plan, Population, Timeouts};
pub use stream::TlsSettings;
pub use tally::{CheckTally, Delta, LATE_AFTER, StepTally, ThreadUse};
use thiserror::Error;
pub use user::{
    Behaviour, Call, ClientId, Failed, Judgement, Local, Next, ReplyView, StepId, Timing, User,
    Wake,
};

use collector::Collector;
use coordination::Coordination;
use events::EventBlock;
use shard::{Shard, Wiring};

/// Steps, and checks, that are told apart in a run.
const NAMES: usize = 1_000;

/// A run that the engine could not do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A shard could not be started or could not wait for events.
    #[error("a load thread failed; check `ulimit -n` and `ulimit -u`")]
    Shard(#[from] std::io::Error),
    /// A shard panicked, which is a defect of ours.
    #[error("a load thread panicked; this is a defect, please report it with the message above")]
    Panicked,
}

/// What a run measured.
#[derive(Debug)]
pub struct Outcome {
    /// The names of the steps, by their numbers.
    pub steps: Vec<String>,
    /// The names of the checks.
    pub checks: Vec<String>,
    /// The counts of the measured phases.
    pub totals: Totals,
    /// The measured phases by second.
    pub series: Vec<SeriesPoint>,
    /// How long requests were sent in the measured phases, in seconds.
    pub sending_s: f64,
    /// The wall clock's time at their start, in microseconds since the Unix epoch.
    pub started_unix_us: i64,
    /// Whether somebody stopped the run.
    pub interrupted: bool,
}

impl Outcome {
    /// Whether a phase that counts was begun.
    pub fn was_measured(&self) -> bool {
        !self.totals.threads.is_empty() && self.totals.threads.iter().any(|used| used.wall_ns > 0)
    }
}

/// Do the run, calling `watch` with every second that is complete.
///
/// # Errors
/// [`EngineError`]; whatever the target does is in the [`Outcome`].
pub fn run(
    plan: &Arc<Plan>,
    stop: &StopSwitch,
    events: Option<EventSender>,
    mut watch: impl FnMut(&SeriesPoint, &Totals),
) -> Result<Outcome, EngineError> {
    let clock = Clock::start();
    let coordination = Coordination::new(plan)?;
    let names = [plan.steps.as_slice(), &[]].map(|first| Arc::new(Names::new(first, NAMES)));
    let (deltas, inbox) = channel::<Box<Delta>>();
    let mut spares: Vec<Sender<Box<Delta>>> = Vec::new();
    let mut collector = Collector::new(plan.threads, plan.steps.len(), &plan.phases);
    let cpus = machine::allowed_cpus();
    thread::scope(|scope| {
        let mut shards = Vec::with_capacity(plan.threads);
        for index in 0..plan.threads {
            let (spare, returned) = channel();
            spares.push(spare);
            let cpu = (plan.threads <= cpus.len()).then(|| cpus[cpus.len() - 1 - index]);
            let wiring = Wiring {
                clock,
                coordination: &coordination,
                stop,
                deltas: deltas.clone(),
                spares: returned,
                names: names.clone(),
            };
            let plan = Arc::clone(plan);
            let events = events.clone();
            let coordination = &coordination;
            let body = move || shard_thread(plan, index, wiring, events, cpu, coordination);
            let name = format!("load-{index}");
            let spawned = thread::Builder::new().name(name).spawn_scoped(scope, body);
            // Those that were started must not wait for one that never will be.
            shards.push(spawned.inspect_err(|_| coordination.give_up())?);
        }
        // The collector's own ends must go, or it would wait for them for ever.
        drop(deltas);
        drop(events);
        collect(&inbox, &spares, &mut collector, &mut watch);
        for shard in shards {
            shard.join().map_err(|_| EngineError::Panicked)??;
        }
        Ok::<(), EngineError>(())
    })?;
    let (totals, series) = collector.finish();
    let interrupted = stop.level() > StopLevel::Run;
    let [steps, checks] = names.map(|names| names.list());
    Ok(Outcome {
        sending_s: sending_s(plan, &totals),
        started_unix_us: clock.unix_us(started_at(plan, &totals)),
        interrupted,
        steps,
        checks,
        totals,
        series,
    })
}

/// When the first measured phase began.
fn started_at(plan: &Plan, totals: &Totals) -> Nanos {
    let mut phases = plan.phases.iter().zip(&totals.phases);
    let first = phases.find(|(phase, _)| phase.measured);
    first.map_or(0, |(_, totals)| totals.start)
}

/// How long requests were sent in the measured phases, in seconds.
fn sending_s(plan: &Plan, totals: &Totals) -> f64 {
    let phases = plan.phases.iter().zip(&totals.phases);
    let planned = phases
        .filter(|(phase, totals)| phase.measured && totals.began)
        .fold(0.0, |sum, (phase, _)| sum + phase.duration.as_secs_f64());
    // The longest shard tells how long was sent when the run was stopped early.
    let walls = totals.threads.iter().map(|used| used.wall_ns);
    let sent_for = walls.max().unwrap_or(0) as f64 / 1e9;
    // A thread's time is a little longer than its phase, never by a tenth of a second.
    if sent_for + 0.1 < planned {
        sent_for
    } else {
        planned
    }
}

fn shard_thread(
    plan: Arc<Plan>,
    index: usize,
    wiring: Wiring<'_>,
    events: Option<EventSender>,
    cpu: Option<usize>,
    coordination: &Coordination,
) -> Result<(), EngineError> {
    // Whether it returns an error or panics, the other shards must not wait for this one.
    struct Farewell<'c>(&'c Coordination, bool);
    impl Drop for Farewell<'_> {
        fn drop(&mut self) {
            if !self.1 {
                self.0.give_up();
            }
        }
    }
    let mut farewell = Farewell(coordination, false);
    if let Some(cpu) = cpu {
        machine::pin_to(cpu);
    }
    let block = events.map(|sender| EventBlock::new(wiring.clock, sender));
    Shard::new(plan, index, wiring, block)?.run()?;
    farewell.1 = true;
    Ok(())
}

fn collect(
    inbox: &Receiver<Box<Delta>>,
    spares: &[Sender<Box<Delta>>],
    collector: &mut Collector,
    watch: &mut impl FnMut(&SeriesPoint, &Totals),
) {
    while let Ok(delta) = inbox.recv() {
        if let Some(point) = collector.add(&delta) {
            watch(&point, collector.totals());
        }
        // A shard that has ended takes nothing back.
        let shard = delta.shard;
        let _ = spares[shard].send(delta);
    }
}
