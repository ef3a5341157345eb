//! Another host, over ssh: the user's own ssh, with its configuration, keys and jump hosts.
//!
//! A script, the same for every host, says whether isukit is there; if not it takes a copy from
//! stdin into a folder that nobody else can read. Then stdin and stdout belong to the agent, which
//! removes the copy as soon as it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use isukit_analyze::host::check::Path;
use isukit_analyze::host::{Clock, Line, Lost};

use super::agent::{Answer, Ask, FOLDER_VARIABLE, ask_for};
use super::path::PathProbe;
use super::{Event, Sampling, Stop, unix_ms};

/// How many times the other clock is asked for before its samples count, and how many times later.
const CLOCK_ASKED_FIRST: u64 = 5;
const CLOCK_ASKED_AGAIN: u64 = 3;

/// How many samples go by before the other clock is asked for again.
const CLOCK_AGAIN_EVERY: u64 = 30;

/// How many lines of an agent wait until its clock is known.
const MOST_WAITING: usize = 100;

/// The longest line that is taken from the other side, in bytes.
const LONGEST_LINE: u64 = 4 << 20;

/// How long an agent is waited for once it was told to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lines of ssh's own words that are kept to say why it failed.
const KEPT_WORDS: usize = 20;

/// How other hosts are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteOptions {
    /// A configuration of ssh other than the user's own.
    pub ssh_config: Option<PathBuf>,
}

/// What runs on the other host until the agent does. It has no single quote in it, as it is given
/// within two.
const SCRIPT: &str = r##"
umask 077
read -r version size || exit 90
if [ "$(isukit --version 2>/dev/null)" = "isukit $version" ]; then
  echo "isukit-have $(uname -sm)"
  exec isukit probe --agent
fi
echo "isukit-need $(uname -sm)"
folder=
for base in "$XDG_RUNTIME_DIR" /tmp /dev/shm "$HOME"; do
  [ -d "$base" ] || continue
  folder=$(mktemp -d "$base/isukit.XXXXXXXXXX" 2>/dev/null) || continue
  trap "rm -rf \"\$folder\"" EXIT
  trap "exit 91" HUP INT TERM PIPE
  printf "#!/bin/sh\nexit 0\n" >"$folder/isukit"
  chmod 700 "$folder/isukit"
  "$folder/isukit" 2>/dev/null && break
  rm -rf "$folder"
  folder=
done
if [ -z "$folder" ]; then
  echo "isukit-cannot find a folder to run a program from"
  exit 92
fi
echo "isukit-send"
head -c "$size" >"$folder/isukit" || exit 93
VARIABLE="$folder" "$folder/isukit" probe --agent
"##;

/// Probes another host until its time is over or `stop` is pressed. Asks that come meanwhile, as for
/// the paths to other nodes, are handed on.
///
/// # Errors
///
/// Why it cannot be probed, or not any more.
pub fn probe_there(
    host: &str,
    sampling: &Sampling,
    options: &RemoteOptions,
    paths: Receiver<Vec<PathProbe>>,
    stop: &Stop,
    events: &Sender<Event>,
) -> Result<(), Lost> {
    let lost = |error: anyhow::Error| Lost {
        node: host.to_owned(),
        why: format!("{error:#}"),
    };
    let mut there = There::connect(host, options).map_err(lost)?;
    let result = there.start(host, sampling).and_then(|()| {
        there.hand_on(paths, stop)?;
        there.lines(host, events, stop)
    });
    let words = there.end();
    result.map_err(|error| {
        lost(match error.is::<Ended>() && !words.is_empty() {
            // ssh itself says best why it ended.
            true => anyhow!(words),
            false => error,
        })
    })
}

/// Nothing more comes from the other side.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended before its time")]
struct Ended;

/// A connection to another host.
struct There {
    child: Child,
    input: Arc<Mutex<Option<ChildStdin>>>,
    output: BufReader<ChildStdout>,
    words: thread::JoinHandle<String>,
    ended: bool,
}

impl There {
    fn connect(host: &str, options: &RemoteOptions) -> Result<Self> {
        ensure!(
            !host.starts_with('-') && !host.is_empty() && !host.contains(char::is_control),
            "this is no name of a host: write --host s1 or --host user@s1"
        );
        let mut ssh = Command::new("ssh");
        if let Some(config) = &options.ssh_config {
            ssh.arg("-F").arg(config);
        }
        // Nobody could answer a question, as there may be many hosts at once.
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=8",
            "ServerAliveInterval=3",
            "ServerAliveCountMax=2",
            "RequestTTY=no",
            "ClearAllForwardings=yes",
            // A connection that is kept for others keeps our pipes as well.
            "ControlMaster=no",
            "ControlPath=none",
        ] {
            ssh.args(["-o", option]);
        }
        let script = SCRIPT.replace("VARIABLE", FOLDER_VARIABLE);
        ssh.arg("--")
            .arg(host)
            .arg(format!("exec sh -c '{script}'"));
        ssh.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for us, who end it in good order.
            .process_group(0);
        let mut child = ssh
            .spawn()
            .context("cannot start ssh: install openssh-client")?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            bail!("ssh has no pipes");
        };
        let words = thread::Builder::new()
            .name("ssh-words".to_owned())
            .spawn(move || last_words(errors))
            .context("cannot start a thread")?;
        Ok(Self {
            child,
            input: Arc::new(Mutex::new(Some(input))),
            output: BufReader::new(output),
            words,
            ended: false,
        })
    }

    /// Brings the agent to life, and asks it for samples.
    fn start(&mut self, host: &str, sampling: &Sampling) -> Result<()> {
        let own = std::fs::File::open("/proc/self/exe").or_else(|_| {
            let path = std::env::current_exe()?;
            std::fs::File::open(path)
        });
        let mut own = own.context("cannot read this program, to copy it there")?;
        let size = own.metadata().context("cannot read this program")?.len();
        let version = env!("CARGO_PKG_VERSION");
        self.write(format!("{version} {size}\n").as_bytes())?;
        let found = self.answer()?;
        let (word, system) = found.split_once(' ').unwrap_or((&found, ""));
        match word {
            "isukit-have" => {}
            "isukit-need" => {
                ensure!(
                    system == own_system(),
                    "it is {system} and this isukit is for {}: put an isukit {version} for it on its \
                     PATH",
                    own_system()
                );
                let ready = self.answer()?;
                ensure!(ready == "isukit-send", "{}", ready.replace("isukit-", ""));
                self.copy(&mut own, size)?;
            }
            _ => bail!(
                "it answered '{}': its shell must print nothing by itself (see .bashrc)",
                found.chars().take(80).collect::<String>()
            ),
        }
        self.write((ask_for(host, sampling)? + "\n").as_bytes())
    }

    fn copy(&mut self, own: &mut std::fs::File, size: u64) -> Result<()> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let input = input.as_mut().context("the connection was closed")?;
        let copied = std::io::copy(&mut own.take(size), input);
        let copied = copied.context("cannot copy isukit there")?;
        ensure!(copied == size, "this program changed while it was copied");
        Ok(input.flush()?)
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let input = input.as_mut().context("the connection was closed")?;
        let written = input.write_all(bytes).and_then(|()| input.flush());
        written.context("the connection was closed")
    }

    fn ask(&self, ask: &Ask) -> Result<()> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.write(&line)
    }

    /// A line of the other side; an error when there is none any more.
    fn answer(&mut self) -> Result<String> {
        Ok(self.line()?.ok_or(Ended)?)
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let mut output = self.output.by_ref().take(LONGEST_LINE);
        output
            .read_until(b'\n', &mut line)
            .context("the connection broke")?;
        if line.is_empty() {
            return Ok(None);
        }
        ensure!(
            line.pop() == Some(b'\n'),
            "the connection broke within a line"
        );
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// Hands on what else is asked, and the end.
    fn hand_on(&self, paths: Receiver<Vec<PathProbe>>, stop: &Stop) -> Result<()> {
        let input = Arc::clone(&self.input);
        let stop = stop.clone();
        thread::Builder::new()
            .name("ssh-asks".to_owned())
            .spawn(move || {
                while let Some(to) = next(&paths, &stop) {
                    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(input) = input.as_mut() else { return };
                    let Ok(mut line) = serde_json::to_vec(&Ask::Paths { to }) else {
                        return;
                    };
                    line.push(b'\n');
                    if input.write_all(&line).and_then(|()| input.flush()).is_err() {
                        return;
                    }
                }
                // Its stdin's end is how an agent is told to end.
                *input.lock().unwrap_or_else(PoisonError::into_inner) = None;
            })
            .context("cannot start a thread")?;
        Ok(())
    }

    /// Passes on the lines of the agent, with times by the clock of this host.
    fn lines(&mut self, host: &str, events: &Sender<Event>, stop: &Stop) -> Result<()> {
        let mut clock = ClockWatch::default();
        let mut waiting = Vec::new();
        let mut samples = 0;
        self.ask(&clock.ask(CLOCK_ASKED_FIRST))?;
        while let Some(text) = self.line()? {
            if let Ok(answer) = serde_json::from_str::<Answer>(&text) {
                match answer {
                    Answer::Clock { number, unix_ms } => {
                        if let Some(ask) = clock.told(number, unix_ms) {
                            self.ask(&ask)?;
                        }
                    }
                    other => {
                        if events.send(event_of(host, other)).is_err() {
                            return Ok(());
                        }
                    }
                }
            } else {
                let line = serde_json::from_str(&text);
                ensure!(
                    waiting.len() < MOST_WAITING,
                    "it does not say what time it has there"
                );
                waiting.push(line.with_context(|| format!("it said '{}'", cut(&text)))?);
            }
            if !clock.is_known() {
                continue;
            }
            for mut line in waiting.drain(..) {
                correct(&mut line, host, clock.best());
                self.ended |= matches!(line, Line::End(_));
                if matches!(line, Line::Sample(_)) {
                    samples += 1;
                    if u64::is_multiple_of(samples, CLOCK_AGAIN_EVERY) {
                        self.ask(&clock.ask(CLOCK_ASKED_AGAIN))?;
                    }
                }
                if events.send(Event::Line(Box::new(line))).is_err() {
                    return Ok(());
                }
            }
            if self.ended {
                return Ok(());
            }
        }
        match stop.is_pressed() {
            true => Ok(()),
            false => Err(Ended.into()),
        }
    }

    /// Ends ssh, and says what it had to say.
    fn end(mut self) -> String {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                _ => break,
            }
        }
        // It has ended, or does not want to.
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.output);
        self.words.join().unwrap_or_default()
    }
}

/// What else is asked, or nothing when it is time to end.
fn next(paths: &Receiver<Vec<PathProbe>>, stop: &Stop) -> Option<Vec<PathProbe>> {
    loop {
        match paths.recv_timeout(Duration::from_millis(50)) {
            Ok(to) => return Some(to),
            Err(RecvTimeoutError::Timeout) if !stop.is_pressed() => {}
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                stop.wait_until(Instant::now() + Duration::from_secs(u32::MAX.into()));
                return None;
            }
        }
    }
}

/// Answers that are of interest to others.
fn event_of(host: &str, answer: Answer) -> Event {
    match answer {
        Answer::Path {
            peer,
            mtu,
            peer_mtu,
            passed,
            told,
        } => Event::Path(Path {
            node: host.to_owned(),
            peer,
            mtu,
            peer_mtu,
            passed,
            told,
        }),
        Answer::Notice { text } => Event::Notice(format!("{host}: {text}")),
        Answer::Clock { .. } => Event::Notice(String::new()),
    }
}

/// Gives a line the name that the node has here, and times by the clock of this host.
fn correct(line: &mut Line, host: &str, clock: Clock) {
    let named = host.to_owned();
    match line {
        Line::Host(line) => {
            line.node = named;
            line.unix_ms -= clock.offset_ms;
            line.clock = Some(clock);
        }
        Line::Sample(line) => {
            line.node = named;
            line.unix_ms -= clock.offset_ms;
        }
        Line::Lost(line) => line.node = named,
        Line::End(line) => line.node = named,
        Line::Finding(line) => line.node = named,
    }
}

/// How the other clock stands, in the manner of NTP: the fastest round trip says it best.
#[derive(Debug, Default)]
struct ClockWatch {
    best: Option<Clock>,
    /// The best of the questions that are being asked.
    burst: Option<Clock>,
    number: u64,
    left: u64,
    asked_at: Option<(Instant, f64)>,
}

impl ClockWatch {
    fn ask(&mut self, times: u64) -> Ask {
        self.left = times;
        self.burst = None;
        self.next()
    }

    fn next(&mut self) -> Ask {
        self.number += 1;
        self.left -= 1;
        self.asked_at = Some((Instant::now(), unix_ms()));
        Ask::Clock {
            number: self.number,
        }
    }

    /// Takes an answer; gives the next question.
    fn told(&mut self, number: u64, there_ms: f64) -> Option<Ask> {
        let (asked_at, here_ms) = self.asked_at.filter(|_| number == self.number)?;
        let round_trip_ms = asked_at.elapsed().as_secs_f64() * 1e3;
        let clock = Clock {
            offset_ms: there_ms - (here_ms + round_trip_ms / 2.0),
            uncertainty_ms: round_trip_ms / 2.0,
        };
        let better = |old: Clock| clock.uncertainty_ms < old.uncertainty_ms;
        if self.burst.is_none_or(better) {
            self.burst = Some(clock);
        }
        if self.left > 0 {
            return Some(self.next());
        }
        // Clocks drift: what was measured last counts.
        self.best = self.burst;
        self.asked_at = None;
        None
    }

    fn is_known(&self) -> bool {
        self.best.is_some()
    }

    fn best(&self) -> Clock {
        self.best.unwrap_or_default()
    }
}

/// This program's system, in the words of `uname -sm`.
fn own_system() -> String {
    let name = rustix::system::uname();
    format!(
        "{} {}",
        name.sysname().to_string_lossy(),
        name.machine().to_string_lossy()
    )
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The last lines of what ssh, or the other side's shell, had to say.
fn last_words(errors: impl Read) -> String {
    let mut words: std::collections::VecDeque<String> = std::collections::VecDeque::new();
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match errors.by_ref().take(4096).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let line: String = line.trim().chars().filter(|it| !it.is_control()).collect();
        // A banner or a new host's key is no reason.
        if !line.is_empty() && !line.starts_with("Warning:") {
            words.push_back(line);
        }
        if words.len() > KEPT_WORDS {
            words.pop_front();
        }
    }
    words.pop_back().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_can_stand_between_quotes() {
        assert!(!SCRIPT.contains('\''));
        let script = SCRIPT.replace("VARIABLE", FOLDER_VARIABLE);
        assert!(
            script.contains("ISUKIT_AGENT_FOLDER=\"$folder\""),
            "{script}"
        );
    }

    #[test]
    fn the_fastest_round_trip_says_how_a_clock_stands() {
        let mut watch = ClockWatch::default();
        watch.ask(2);
        assert!(watch.told(99, 0.0).is_none(), "an answer to nothing");
        thread::sleep(Duration::from_millis(40));
        assert!(watch.told(1, unix_ms() + 500.0).is_some());
        assert!(!watch.is_known());
        assert!(watch.told(2, unix_ms() + 500.0).is_none());
        let best = watch.best();
        assert!(best.uncertainty_ms < 20.0, "{best:?}");
        assert!((best.offset_ms - 500.0).abs() < 20.0, "{best:?}");
    }

    #[test]
    fn hosts_that_would_be_options_are_refused() {
        for host in ["-oProxyCommand=x", "", "a\nb"] {
            let refused = There::connect(host, &RemoteOptions::default());
            assert!(refused.is_err_and(|error| error.to_string().contains("no name of a host")));
        }
    }
}
