//! This host: the sampler with a clock.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use isukit_analyze::host::{End, Host, Line, NoHost, Sample, Sampler, own_cost};

use super::portable::Portable;
use super::{Event, Gone, Sampling, Stop, inventory, send, trim, unix_ms};

/// From here on it is worth it to have the program's file read once more, to be small.
const LONG: Duration = Duration::from_secs(10);

/// Where samples come from: `/proc` on Linux, a library elsewhere.
enum Source {
    Linux(Box<Sampler>),
    Other(Box<Portable>),
}

impl Source {
    fn open(sampling: &Sampling) -> Result<(Self, Host), NoHost> {
        if !cfg!(target_os = "linux") && sampling.root == Path::new("/") {
            let (portable, host) = Portable::new(&sampling.services);
            return Ok((Self::Other(Box::new(portable)), host));
        }
        let (sampler, mut host) = Sampler::new(&sampling.root, &sampling.services)?;
        if sampling.root == Path::new("/") {
            inventory::complete(&mut host);
        }
        Ok((Self::Linux(Box::new(sampler)), host))
    }

    fn sample(&mut self, seconds: f64) -> Sample {
        match self {
            Self::Linux(sampler) => sampler.sample(seconds),
            Self::Other(portable) => portable.sample(seconds),
        }
    }
}

/// Probes this host until its time is over, `stop` is pressed, or nobody receives any more.
///
/// # Errors
///
/// [`NoHost`] when there is no host below the root.
pub fn probe_here(
    node: Option<&str>,
    sampling: &Sampling,
    stop: &Stop,
    events: &Sender<Event>,
) -> Result<(), NoHost> {
    let (mut source, mut host) = Source::open(sampling)?;
    let began = Instant::now();
    let node = match node {
        Some(node) => node.to_owned(),
        None if host.hostname.is_empty() => "localhost".to_owned(),
        None => host.hostname.clone(),
    };
    host.node.clone_from(&node);
    host.unix_ms = unix_ms();
    host.interval_s = sampling.interval.as_secs_f64();
    // When nobody listens any more there is nobody to tell.
    let (Ok(()) | Err(Gone)) = samples(&node, host, &mut source, began, sampling, stop, events);
    Ok(())
}

fn samples(
    node: &str,
    host: Host,
    source: &mut Source,
    began: Instant,
    sampling: &Sampling,
    stop: &Stop,
    events: &Sender<Event>,
) -> Result<(), Gone> {
    send(events, Line::Host(host))?;
    let cost_before = own_cost(Path::new("/"));
    let (mut last, mut due, mut count) = (began, began, 0);
    let is_long = sampling.duration.is_none_or(|duration| duration >= LONG);
    loop {
        due = next(due, sampling.interval, Instant::now());
        let end = sampling.duration.map(|duration| began + duration);
        // A last sample that is shorter than the others would say less, and one too many.
        if end.is_some_and(|end| due > end + sampling.interval / 2) || stop.wait_until(due) {
            break;
        }
        if count == 1 && is_long {
            // From here on nothing much is done that was not done before, and whoever writes the first sample
            // down is done with it: what runs meanwhile could not be let go.
            trim::trim();
        }
        let now = Instant::now();
        let mut sample = source.sample(now.duration_since(last).as_secs_f64());
        last = now;
        node.clone_into(&mut sample.node);
        sample.unix_ms = unix_ms();
        send(events, Line::Sample(sample))?;
        count += 1;
    }
    let mut end = End {
        node: node.to_owned(),
        samples: count,
        ..End::default()
    };
    if let (Some(before), Some(after)) = (cost_before, own_cost(Path::new("/"))) {
        let seconds = began.elapsed().as_secs_f64().max(1e-3);
        end.cost_cores = (after.0 - before.0) / seconds;
        end.cost_bytes = after.1;
    }
    send(events, Line::End(end))
}

/// The next time on the grid of intervals; those that were missed are left out.
fn next(due: Instant, interval: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos() / interval.as_nanos().max(1);
    due + interval * u32::try_from(late + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_were_missed_are_left_out() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let check = |late_ms: u64, expected: u32| {
            let now = begin + Duration::from_millis(late_ms);
            assert_eq!(
                next(begin, second, now),
                begin + second * expected,
                "{late_ms}"
            );
        };
        check(0, 1);
        check(999, 1);
        check(1000, 2);
        check(3500, 4);
    }
}
