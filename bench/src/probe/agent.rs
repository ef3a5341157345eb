//! The side of a probe that runs on another host: asked through stdin, it answers on stdout, and
//! ends when either does.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use isukit_analyze::host::check::Path;
use isukit_analyze::host::{Host, Line, SCHEMA};
use serde::{Deserialize, Serialize};

use super::path::{PathProbe, probe};
use super::{Event, Sampling, Stop, probe_here, unix_ms};

/// The folder that holds nothing but the program itself, to be removed once it runs.
pub(super) const FOLDER_VARIABLE: &str = "ISUKIT_AGENT_FOLDER";

/// The longest line that is read from the other side.
const LONGEST_LINE: u64 = 1 << 20;

/// What is asked of it, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(super) enum Ask {
    /// The first line: what to sample.
    Sample {
        /// The form of the lines that is expected.
        schema: String,
        node: String,
        interval_s: f64,
        duration_s: Option<f64>,
        services: Vec<String>,
        root: PathBuf,
    },
    /// What time is it?
    Clock { number: u64 },
    /// How large a packet reaches these?
    Paths { to: Vec<PathProbe> },
}

/// What it answers besides the lines of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Answer {
    Clock {
        number: u64,
        unix_ms: f64,
    },
    Path {
        peer: String,
        mtu: u32,
        peer_mtu: Option<u32>,
        passed: Option<u32>,
        told: bool,
    },
    Notice {
        text: String,
    },
}

/// What it writes: serialized as either of the two.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Line(&'a Line),
    Answer(&'a Answer),
}

/// The words after the program's name that start it without reading any other arguments.
pub const WORDS: [&str; 2] = ["probe", "--agent"];

/// What to sample, for [`sampling_asked`]: as it is asked of an agent.
///
/// # Errors
///
/// When it cannot be written as JSON.
pub fn ask_for(node: &str, sampling: &Sampling) -> Result<String> {
    Ok(serde_json::to_string(&Ask::Sample {
        schema: SCHEMA.to_owned(),
        node: node.to_owned(),
        interval_s: sampling.interval.as_secs_f64(),
        duration_s: sampling.duration.map(|duration| duration.as_secs_f64()),
        services: sampling.services.iter().map(ToString::to_string).collect(),
        root: sampling.root.clone(),
    })?)
}

/// Reads what [`ask_for`] wrote: the name of the node and what to sample.
///
/// # Errors
///
/// When it makes no sense.
pub fn sampling_asked(first: &str) -> Result<(String, Sampling)> {
    let asked = serde_json::from_str(first).context("what was asked cannot be read")?;
    let Ask::Sample {
        schema,
        node,
        interval_s,
        duration_s,
        services,
        root,
    } = asked
    else {
        return Err(anyhow!("the first line must ask for samples"));
    };
    ensure!(
        schema == SCHEMA,
        "the other side expects {schema} and this is {SCHEMA}: update isukit on both"
    );
    let seconds = |seconds: f64| {
        let duration = Duration::try_from_secs_f64(seconds);
        duration
            .ok()
            .filter(|it| !it.is_zero())
            .context("a time is out of range")
    };
    let services = services.iter().map(|service| service.parse());
    let sampling = Sampling {
        root,
        interval: seconds(interval_s)?,
        duration: duration_s.map(seconds).transpose()?,
        services: services.collect::<Result<_, _>>()?,
    };
    Ok((node, sampling))
}

/// Serves whoever is at the other end of `input` and `output`, until either ends.
///
/// # Errors
///
/// When what is asked makes no sense, or there is no host to look at.
pub fn serve<R, W>(input: R, output: W) -> Result<()>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    remove_copy();
    let mut input = BufReader::new(input);
    let first = read_line(&mut input)?.context("nothing was asked")?;
    let (node, sampling) = sampling_asked(&first)?;
    let output = Arc::new(Mutex::new(output));
    let stop = Stop::default();
    let host: Arc<Mutex<Option<Host>>> = Arc::default();
    let paths: Arc<Mutex<Vec<thread::JoinHandle<()>>>> = Arc::default();

    let asked = Asked {
        output: Arc::clone(&output),
        paths: Arc::clone(&paths),
        host: Arc::clone(&host),
        node: node.clone(),
    };
    let ended = stop.clone();
    thread::Builder::new()
        .name("asked".to_owned())
        .spawn(move || {
            // Whatever ends it, the other side has nothing to say any more.
            let _ = asked.answer_all(&mut input);
            ended.press();
        })
        .context("cannot start a thread")?;

    let (events, lines) = mpsc::channel();
    let writer = {
        let stop = stop.clone();
        thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || {
                for event in lines {
                    let Event::Line(line) = event else {
                        continue;
                    };
                    if let Line::Host(found) = &*line {
                        *host.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
                    }
                    // Nobody reads on behind the end.
                    if matches!(*line, Line::End(_)) && !stop.is_pressed() {
                        let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
                        for probing in paths.drain(..) {
                            let _ = probing.join();
                        }
                    }
                    if write(&output, &Told::Line(&line)).is_err() {
                        stop.press();
                        return;
                    }
                }
            })
            .context("cannot start a thread")?
    };
    let result = probe_here(Some(&node), &sampling, &stop, &events);
    drop(events);
    // It ends with the last line.
    let _ = writer.join();
    Ok(result?)
}

struct Asked<W> {
    output: Arc<Mutex<W>>,
    paths: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
    host: Arc<Mutex<Option<Host>>>,
    node: String,
}

impl<W: Write + Send + 'static> Asked<W> {
    fn answer_all(&self, input: &mut impl BufRead) -> Result<()> {
        while let Some(line) = read_line(input)? {
            match serde_json::from_str(&line)? {
                Ask::Clock { number } => {
                    let unix_ms = unix_ms();
                    write(
                        &self.output,
                        &Told::Answer(&Answer::Clock { number, unix_ms }),
                    )?;
                }
                Ask::Paths { to } => self.probe_paths(to),
                Ask::Sample { .. } => {}
            }
        }
        Ok(())
    }

    /// Beside the clock, which must not wait for lost packets.
    fn probe_paths(&self, to: Vec<PathProbe>) {
        let (output, node) = (Arc::clone(&self.output), self.node.clone());
        let host = self
            .host
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let interfaces = host.unwrap_or_default().interfaces;
        let name = "paths".to_owned();
        // Without a thread there are no answers, and the other side does not wait for them.
        let probing = thread::Builder::new().name(name).spawn(move || {
            let probes: Vec<_> = to
                .into_iter()
                .map(|to| {
                    let (node, interfaces) = (node.clone(), interfaces.clone());
                    let output = Arc::clone(&output);
                    thread::spawn(move || {
                        let answer = answer_of(&to, probe(&node, &to, &interfaces));
                        let _ = write(&output, &Told::Answer(&answer));
                    })
                })
                .collect();
            for probe in probes {
                let _ = probe.join();
            }
        });
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.extend(probing);
    }
}

fn answer_of(to: &PathProbe, found: std::io::Result<Path>) -> Answer {
    match found {
        Ok(path) => Answer::Path {
            peer: path.peer,
            mtu: path.mtu,
            peer_mtu: path.peer_mtu,
            passed: path.passed,
            told: path.told,
        },
        Err(error) => Answer::Notice {
            text: to.unanswered(&error),
        },
    }
}

fn read_line(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    let read = input.take(LONGEST_LINE).read_line(&mut line)?;
    ensure!(
        read == 0 || line.ends_with('\n'),
        "a line is cut, or longer than {LONGEST_LINE} bytes"
    );
    Ok((read > 0).then_some(line))
}

fn write<W: Write>(output: &Mutex<W>, told: &Told<'_>) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(&line)?;
    output.flush()
}

/// Removes the folder that this program was copied to: it runs on, and nothing is left behind even
/// if it is killed.
fn remove_copy() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) else {
        return;
    };
    // Only a folder in which this program is, and nothing else.
    let own = std::env::current_exe().ok();
    if own.is_some_and(|own| own.parent() == Some(folder.as_path())) {
        let _ = std::fs::remove_file(folder.join("isukit"));
        let _ = std::fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer whose bytes can be looked at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn ask(duration_s: f64) -> String {
        let service = format!("own=pid:{}", std::process::id());
        let sampling = Sampling {
            root: "/".into(),
            interval: Duration::from_millis(50),
            duration: Some(Duration::from_secs_f64(duration_s)),
            services: vec![service.parse().unwrap()],
        };
        ask_for("s9", &sampling).unwrap() + "\n"
    }

    #[test]
    fn it_samples_and_tells_the_time() {
        let clock = serde_json::to_string(&Ask::Clock { number: 7 }).unwrap() + "\n";
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        (&ours).write_all((ask(0.3) + &clock).as_bytes()).unwrap();
        let output = Shared::default();
        serve(theirs, output.clone()).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let kinds: Vec<String> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["kind"].as_str().unwrap().to_owned()
            })
            .collect();
        let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
        assert_eq!(
            (count("host"), count("clock"), count("end")),
            (1, 1, 1),
            "{text}"
        );
        assert!(count("sample") >= 3, "{text}");
        assert!(text.contains("\"s9\""), "{text}");
    }

    #[test]
    fn it_ends_when_nobody_asks_any_more() {
        let input = std::io::Cursor::new(ask(60.0));
        let began = std::time::Instant::now();
        serve(input, Shared::default()).unwrap();
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |input: &str, why: &str| {
            let input = std::io::Cursor::new(input.to_owned().into_bytes());
            let error = serve(input, Shared::default()).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(why), "{error}");
        };
        check("", "nothing was asked");
        check("{}\n", "cannot be read");
        check("{\"ask\":\"clock\",\"number\":1}\n", "must ask for samples");
        check(&ask(1.0).replace(SCHEMA, "isukit.probe/9"), "update isukit");
        check(&ask(1.0).replace("0.05", "-1"), "out of range");
        check(&ask(1.0).replace("own=pid", "own=port"), "names no service");
        check("{\"ask\":", "cut");
    }
}
