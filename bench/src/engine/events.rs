//! The event file: one line a request, written by a thread of its own.
//!
//! A shard formats lines into a block and hands full blocks over a bounded queue. A disk that
//! cannot keep up must neither stall the shard nor fill the memory, so blocks that find the queue
//! full are let go, and the report says how many events they held.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::clock::Clock;
use super::fault::Fault;
use super::user::Timing;
use isukit_analyze::sample::{EVENTS_SCHEMA, Sample};

/// A block is handed over when it has this many bytes.
const BLOCK_BYTES: usize = 64 * 1024;

/// Blocks in the queue at most: 16 MB.
const QUEUE_BLOCKS: usize = 256;

/// Where shards hand their blocks.
#[derive(Debug, Clone)]
pub struct EventSender {
    sender: SyncSender<Vec<u8>>,
}

/// Make the queue between shards and the writer.
pub fn event_queue() -> (EventSender, Receiver<Vec<u8>>) {
    let (sender, receiver) = sync_channel(QUEUE_BLOCKS);
    (EventSender { sender }, receiver)
}

/// Write the header and then every block until all shards have finished.
///
/// # Errors
/// The first error of `out`.
pub fn write_events(receiver: &Receiver<Vec<u8>>, mut out: impl Write) -> std::io::Result<()> {
    writeln!(out, "{{\"schema\":\"{EVENTS_SCHEMA}\"}}")?;
    while let Ok(block) = receiver.recv() {
        out.write_all(&block)?;
    }
    out.flush()
}

/// One shard's unwritten lines.
#[derive(Debug)]
pub(super) struct EventBlock {
    clock: Clock,
    sender: EventSender,
    block: Vec<u8>,
    lines: u64,
    lost: u64,
}

impl EventBlock {
    pub(super) fn new(clock: Clock, sender: EventSender) -> Self {
        Self {
            clock,
            sender,
            block: Vec::with_capacity(BLOCK_BYTES + 1024),
            lines: 0,
            lost: 0,
        }
    }

    /// Add one request.
    pub(super) fn add(
        &mut self,
        step: &str,
        timing: Timing,
        reply: Option<(u16, u64)>,
        fault: Option<&Fault>,
    ) {
        let micros = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e3;
        let sample = Sample {
            at_us: self.clock.unix_us(timing.due_at),
            key: step.into(),
            latency_us: micros(timing.due_at, timing.done_at),
            service_us: micros(timing.sent_at, timing.done_at),
            status: reply.map(|(status, _)| status),
            body_bytes: reply.map_or(0, |(_, bytes)| bytes),
            error: fault.map(|fault| fault.kind.label()),
        };
        // Writing to memory does not fail.
        if serde_json::to_writer(&mut self.block, &sample).is_ok() {
            self.block.push(b'\n');
            self.lines += 1;
        }
        if self.block.len() >= BLOCK_BYTES {
            self.hand_over();
        }
    }

    /// Hand the block to the writer, or let it go when the writer is too far behind.
    pub(super) fn hand_over(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES + 1024));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.sender.try_send(block)
        {
            self.lost += self.lines;
        }
        self.lines = 0;
    }

    /// Events let go since the last time this was asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Hand over what is left, waiting for the writer: the run is over, nothing can be stalled.
    pub(super) fn finish(mut self) -> u64 {
        let block = std::mem::take(&mut self.block);
        if !block.is_empty() && self.sender.sender.send(block).is_err() {
            self.lost += self.lines;
        }
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::FaultKind;
    use super::*;

    fn add(block: &mut EventBlock, fault: Option<&Fault>) {
        let timing = Timing {
            due_at: 1_000,
            sent_at: 2_000,
            done_at: 5_500,
        };
        block.add("GET /", timing, Some((200, 7)), fault);
    }

    #[test]
    fn lines_are_samples_behind_a_header() {
        let (sender, receiver) = event_queue();
        let mut block = EventBlock::new(Clock::start(), sender);
        add(&mut block, None);
        add(&mut block, Some(&Fault::new(FaultKind::Check, "x")));
        assert_eq!(block.finish(), 0);
        let mut out = Vec::new();
        write_events(&receiver, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "{\"schema\":\"isukit.events/1\"}");
        let samples: Vec<Sample<'_>> = lines[1..]
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[0].latency_us, samples[0].service_us), (4.5, 3.5));
        assert_eq!(samples[1].error.as_deref(), Some("check-failed"));
    }

    #[test]
    fn a_writer_that_lags_costs_counted_events_and_no_memory() {
        let (sender, receiver) = event_queue();
        let mut block = EventBlock::new(Clock::start(), sender);
        let mut added = 0_u64;
        for _ in 0..QUEUE_BLOCKS + 2 {
            for _ in 0..10 {
                add(&mut block, None);
                added += 1;
            }
            block.hand_over();
        }
        assert_eq!(block.take_lost(), 20);
        let kept: usize = receiver
            .try_iter()
            .map(|b| b.split(|&c| c == b'\n').count() - 1)
            .sum();
        assert_eq!(kept as u64 + 20, added);
    }
}
