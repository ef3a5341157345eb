//! `isukit probe`: what each node is short of.

mod args;
mod screen;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use isukit_analyze::host::check::Check;
use isukit_analyze::host::{Finding, Host, Line, Lost, NoHost};
use isukit_analyze::report::printable;

pub(super) use args::ProbeArgs;

use super::output::Output;
use super::signals::on_signals;
use super::{COULD_NOT, ClosedPipe, DONE, FAILED, complain};
use crate::probe::{self, Event, PathProbe, Stop};
use args::ProbeFormat;
use screen::Screen;

/// How long it goes on after Ctrl-C for nodes to say their last lines.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long hosts that answered wait for those that did not, before paths are probed.
const HOSTS_PATIENCE: Duration = Duration::from_secs(5);

/// How long a host may say nothing, besides three intervals: to copy isukit there may take a while.
const SILENCE: Duration = Duration::from_secs(60);

/// Do what was asked.
pub(super) fn main(args: &ProbeArgs) -> Result<u8> {
    args.distinct()?;
    if args.is_plain() && !io::stdout().is_terminal() {
        begin_anew(args);
    }
    let stop = Stop::default();
    let (pressed, mut times) = (stop.clone(), 0);
    on_signals(move || {
        times += 1;
        if times > 1 {
            super::output::discard_all();
            std::process::exit(COULD_NOT.into());
        }
        pressed.press();
    })?;
    let mut out = Out::open(args)?;
    let (events, received) = mpsc::channel();
    let (nodes, failed) = start(args, &stop, &events)?;
    drop(events);
    let mut watch = Watch {
        waited_for: nodes.len(),
        heard: args
            .hosts
            .iter()
            .map(|host| (host.clone(), Instant::now()))
            .collect(),
        silence: SILENCE + args.sampling().interval * 3,
        nodes,
        check: args.check.then(Check::default),
        hosts: BTreeMap::new(),
        lost: 0,
        samples: 0,
        findings: 0,
        asked: false,
        peers: &args.peers,
    };
    let ended = watch.follow(&received, &stop, &mut out);
    // Nodes that still work have nobody to tell any more.
    stop.press();
    ended?;
    out.finish(args.check.then_some(watch.findings))?;
    if let Ok(error) = failed.try_recv() {
        return Err(error.into());
    }
    ensure!(
        watch.samples > 0 || watch.lost < watch.nodes.len(),
        "no node could be probed"
    );
    ensure!(
        !args.check || watch.samples > 0,
        "not one sample was taken: give it a longer --duration"
    );
    Ok(match watch.lost + watch.findings {
        0 => DONE,
        _ => FAILED,
    })
}

/// What this host is to be sampled for, in the environment of an agent that nobody talks to.
const SAMPLING_VARIABLE: &str = "ISUKIT_PROBE_SAMPLING";

/// Starts this program again in its own place, without what reading the arguments has left in memory.
/// Comes back only where that cannot be done.
fn begin_anew(args: &ProbeArgs) {
    use std::os::unix::process::CommandExt;
    if let Ok(ask) = probe::ask_for("", &args.sampling()) {
        let _ = std::process::Command::new("/proc/self/exe")
            .arg0("isukit")
            .args(probe::AGENT_WORDS)
            .env(SAMPLING_VARIABLE, ask)
            .exec();
    }
}

/// Samples a host with nobody to look at a screen: this one, or for whoever talks through stdin.
pub(super) fn agent() -> Result<u8> {
    let Ok(ask) = std::env::var(SAMPLING_VARIABLE) else {
        probe::serve(io::stdin(), io::stdout())?;
        return Ok(DONE);
    };
    let (_, sampling) = probe::sampling_asked(&ask)?;
    let stop = Stop::default();
    let pressed = stop.clone();
    on_signals(move || pressed.press())?;
    let (events, received) = mpsc::channel();
    let ended = stop.clone();
    let sampler = thread::Builder::new()
        .name("probe".to_owned())
        .spawn(move || probe::probe_here(None, &sampling, &ended, &events))
        .context("cannot start a thread")?;
    let mut out = Out::Json(Box::new(io::stdout()));
    for event in received {
        if let Event::Line(line) = event {
            out.line(&line)?;
        }
    }
    sampler
        .join()
        .map_err(|_| anyhow!("probing broke down"))??;
    Ok(DONE)
}

/// The nodes, and how the question for paths reaches each; `None` for this host, and once it is asked.
type Questions = HashMap<String, Option<Sender<Vec<PathProbe>>>>;

/// Starts the threads of the nodes. From the second comes why this host cannot be probed.
fn start(
    args: &ProbeArgs,
    stop: &Stop,
    events: &Sender<Event>,
) -> Result<(Questions, mpsc::Receiver<NoHost>)> {
    let sampling = args.sampling();
    let mut nodes = Questions::new();
    // Whether there is a host at all is to be known before anything is written, if that can be.
    let (ready, error) = mpsc::channel();
    if args.hosts.is_empty() {
        let (stop, events) = (stop.clone(), events.clone());
        let here = thread::Builder::new().name("probe".to_owned());
        here.spawn(move || {
            if let Err(error) = probe::probe_here(None, &sampling, &stop, &events) {
                let _ = ready.send(error);
            }
        })
        .context("cannot start a thread")?;
        if let Ok(error) = error.recv_timeout(Duration::from_millis(20)) {
            return Err(error.into());
        }
        nodes.insert(String::new(), None);
        return Ok((nodes, error));
    }
    for host in &args.hosts {
        let (questions, asked) = mpsc::channel();
        let (host, sampling, options) = (host.clone(), sampling.clone(), args.remote());
        let (stop, events) = (stop.clone(), events.clone());
        nodes.insert(host.clone(), Some(questions));
        thread::Builder::new()
            .name(format!("probe {host}"))
            .spawn(move || {
                let result = probe::probe_there(&host, &sampling, &options, asked, &stop, &events);
                if let Err(lost) = result {
                    let _ = events.send(Event::Line(Box::new(Line::Lost(lost))));
                }
            })
            .context("cannot start a thread")?;
    }
    Ok((nodes, error))
}

/// Follows all nodes to their end.
struct Watch<'a> {
    nodes: Questions,
    /// When each other host that has not ended said something for the last time.
    heard: BTreeMap<String, Instant>,
    silence: Duration,
    /// Nodes that have not yet said what they are, or that they are lost.
    waited_for: usize,
    check: Option<Check>,
    hosts: BTreeMap<String, Host>,
    lost: usize,
    samples: usize,
    findings: usize,
    asked: bool,
    peers: &'a [IpAddr],
}

impl Watch<'_> {
    fn follow(
        &mut self,
        received: &mpsc::Receiver<Event>,
        stop: &Stop,
        out: &mut Out,
    ) -> Result<()> {
        let began = Instant::now();
        let (mut stopped_at, mut all_ended_at) = (None, None);
        loop {
            let event = received.recv_timeout(Duration::from_millis(100));
            match event {
                Ok(event) => self.event(event, out)?,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.miss(out)?;
            // One that hangs holds on to its end of the channel; the others are given time to end well.
            if self.heard.is_empty() && !self.is_here() {
                let since: Instant = *all_ended_at.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Ok(());
                }
            }
            if self.check.is_some() && !self.asked {
                let late = began.elapsed() > HOSTS_PATIENCE;
                if self.waited_for == 0 || late {
                    self.probe_paths(out)?;
                }
            }
            if stop.is_pressed() {
                let since: Instant = *stopped_at.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Ok(());
                }
            }
        }
    }

    /// Whether the one node is this host.
    fn is_here(&self) -> bool {
        self.nodes.contains_key("")
    }

    fn hear(&mut self, node: &str) {
        if let Some(heard) = self.heard.get_mut(node) {
            *heard = Instant::now();
        }
    }

    /// Gives up hosts that say nothing any more, though their connection is there.
    fn miss(&mut self, out: &mut Out) -> Result<()> {
        let silent = self
            .heard
            .iter()
            .filter(|(_, at)| at.elapsed() > self.silence);
        let silent: Vec<String> = silent.map(|(node, _)| node.clone()).collect();
        for node in silent {
            let why = format!("it has said nothing for {} s", self.silence.as_secs());
            self.line(Line::Lost(Lost { node, why }), out)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut Out) -> Result<()> {
        match event {
            Event::Line(line) => self.line(*line, out),
            Event::Path(path) => {
                let findings = self.check.as_mut().map(|check| check.path(&path));
                self.tell(findings.unwrap_or_default(), out)
            }
            Event::Notice(text) => {
                if !text.is_empty() {
                    out.notice(&text);
                }
                Ok(())
            }
        }
    }

    fn line(&mut self, line: Line, out: &mut Out) -> Result<()> {
        match &line {
            Line::Host(host) => {
                self.hear(&host.node);
                self.waited_for = self.waited_for.saturating_sub(1);
                self.hosts.insert(host.node.clone(), host.clone());
            }
            Line::Lost(lost) => {
                // It may have been given up before.
                if !self.is_here() && self.heard.remove(&lost.node).is_none() {
                    return Ok(());
                }
                if !self.hosts.contains_key(&lost.node) {
                    self.waited_for = self.waited_for.saturating_sub(1);
                }
                self.lost += 1;
                out.lost(lost);
            }
            Line::Sample(sample) => {
                self.samples += 1;
                self.hear(&sample.node);
            }
            Line::End(end) => {
                self.heard.remove(&end.node);
                // Only who has several nodes waits with the question.
                if self.check.is_some() && !self.asked {
                    out.notice(&format!(
                        "{} ended before all nodes had answered: the paths from it were not probed; give a longer \
                         --duration",
                        end.node
                    ));
                }
            }
            Line::Finding(_) => {}
        }
        let findings = self.check.as_mut().map(|check| check.line(&line));
        out.line(&line)?;
        self.tell(findings.unwrap_or_default(), out)
    }

    fn tell(&mut self, findings: Vec<Finding>, out: &mut Out) -> Result<()> {
        for finding in findings {
            self.findings += 1;
            out.line(&Line::Finding(finding))?;
        }
        Ok(())
    }

    /// Has the nodes probe the paths to each other, and to the peers that were named.
    fn probe_paths(&mut self, out: &mut Out) -> Result<()> {
        self.asked = true;
        let named: Vec<PathProbe> = self.peers.iter().map(|address| named(*address)).collect();
        let mut here = false;
        for (node, questions) in &mut self.nodes {
            let Some(questions) = questions.take() else {
                here = true;
                continue;
            };
            if let Some(host) = self.hosts.get(node) {
                let others = self.hosts.iter().filter(|(name, _)| *name != node);
                let others = others.filter_map(|(name, other)| shared(host, name, other));
                // A node that is lost meanwhile says so itself.
                let _ = questions.send(named.iter().cloned().chain(others).collect());
            }
        }
        match here {
            true => self.probe_from_here(&named, out),
            false => Ok(()),
        }
    }

    /// Probes the paths from this host, which knows its own name once it has said it.
    fn probe_from_here(&mut self, to: &[PathProbe], out: &mut Out) -> Result<()> {
        let Some(host) = self.hosts.values().next() else {
            return Ok(());
        };
        let found: Vec<_> = thread::scope(|scope| {
            let probe =
                |to| scope.spawn(move || probe::probe_path(&host.node, to, &host.interfaces));
            let probes: Vec<_> = to.iter().map(probe).collect();
            probes.into_iter().map(|probe| probe.join()).collect()
        });
        for (to, found) in to.iter().zip(found) {
            let event = match found.map_err(|_| anyhow!("the probe of a path broke down"))? {
                Ok(path) => Event::Path(path),
                Err(error) => Event::Notice(to.unanswered(&error)),
            };
            self.event(event, out)?;
        }
        Ok(())
    }
}

fn named(address: IpAddr) -> PathProbe {
    PathProbe {
        address,
        peer: address.to_string(),
        peer_mtu: None,
    }
}

/// The path from a host to another one by a network that both are in.
fn shared(host: &Host, name: &str, other: &Host) -> Option<PathProbe> {
    let networks = |host: &Host| -> Vec<(IpAddr, u8, u32)> {
        let addresses = host.interfaces.iter().flat_map(|interface| {
            let mtu = interface.mtu;
            interface.addresses.iter().filter_map(move |address| {
                let (address, prefix) = address.split_once('/')?;
                Some((address.parse().ok()?, prefix.parse().ok()?, mtu))
            })
        });
        let usable = |(address, ..): &(IpAddr, u8, u32)| match address {
            IpAddr::V4(address) => !address.is_loopback(),
            // A link-local address needs an interface to be said with it.
            IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
        };
        addresses.filter(usable).collect()
    };
    let own = networks(host);
    let there = networks(other);
    let mut pairs = there.iter().filter(|(address, ..)| {
        own.iter()
            .any(|(own, prefix, _)| own != address && in_network(*address, *own, *prefix))
    });
    pairs.next().map(|(address, _, mtu)| PathProbe {
        address: *address,
        peer: name.to_owned(),
        peer_mtu: Some(*mtu),
    })
}

/// Whether two addresses begin with the same `prefix` bits.
fn in_network(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    one.is_ipv4() == other.is_ipv4() && (bits(one) ^ bits(other)) & mask == 0
}

/// Where lines go: as JSON, or onto a screen.
enum Out {
    Json(Box<dyn Write>),
    /// Written to a file that takes its name in the end.
    File(Box<BufWriter<Output>>),
    Screen(Box<Screen>),
}

impl Out {
    fn open(args: &ProbeArgs) -> Result<Self> {
        let terminal = io::stdout().is_terminal();
        let text = match args.format {
            Some(format) => format == ProbeFormat::Text,
            None => terminal && args.output.is_none(),
        };
        Ok(match (&args.output, text) {
            (output, true) => Self::Screen(Box::new(Screen::new(
                output.as_deref(),
                terminal && output.is_none() && !args.check,
                args.check,
            )?)),
            (Some(output), false) => {
                Self::File(Box::new(BufWriter::new(Output::create_private(output)?)))
            }
            (None, false) => Self::Json(Box::new(io::stdout())),
        })
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        let out: &mut dyn Write = match self {
            Self::Json(out) => out,
            Self::File(out) => out,
            Self::Screen(screen) => return screen.line(line),
        };
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
            result => result.context("cannot write the samples"),
        }
    }

    fn lost(&self, lost: &Lost) {
        // On a screen it stands among the nodes.
        if !matches!(self, Self::Screen(_)) {
            let text = format!("isukit: {}: {}", lost.node, lost.why);
            complain(&printable(&text));
        }
    }

    fn notice(&mut self, text: &str) {
        match self {
            Self::Screen(screen) => screen.notice(text),
            _ => complain(&printable(&format!("isukit: {text}"))),
        }
    }

    fn finish(self, findings: Option<usize>) -> Result<()> {
        match self {
            Self::Json(_) => Ok(()),
            Self::File(out) => {
                let output = out
                    .into_inner()
                    .map_err(|error| anyhow!("{}", error.error()))?;
                output.commit()
            }
            Self::Screen(screen) => screen.finish(findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isukit_analyze::host::Interface;

    #[test]
    fn nodes_meet_in_a_network_that_both_are_in() {
        let host = |addresses: &[&str], mtu| Host {
            interfaces: vec![Interface {
                mtu,
                addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
                ..Interface::default()
            }],
            ..Host::default()
        };
        let check = |own: &[&str], there: &[&str], expected: Option<&str>| {
            let found = shared(&host(own, 9000), "s2", &host(there, 1500));
            let address = found.as_ref().map(|found| found.address.to_string());
            assert_eq!(address.as_deref(), expected, "{own:?} {there:?}");
            assert!(found.is_none_or(|found| found.peer_mtu == Some(1500)));
        };
        check(
            &["127.0.0.1/8", "10.1.0.1/24"],
            &["127.0.0.1/8", "10.1.0.2/24"],
            Some("10.1.0.2"),
        );
        check(&["10.1.0.1/24"], &["10.2.0.2/24"], None);
        check(
            &["10.1.0.1/24"],
            &["10.2.0.2/24", "10.1.0.9/24"],
            Some("10.1.0.9"),
        );
        check(&["10.1.0.1/24"], &["10.1.0.1/24"], None);
        check(&["fe80::1/64"], &["fe80::2/64"], None);
        check(&["fd00::1/64"], &["fd00::2/64"], Some("fd00::2"));
        check(&["10.1.0.1/0"], &["192.168.1.1/24"], Some("192.168.1.1"));
        check(&["broken"], &["10.1.0.1/x"], None);
    }
}
