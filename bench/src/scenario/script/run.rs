//! What all shards of a scenario's run know: the checked folder, and what users share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use isukit_proto::{Message, Schema};

use super::plain::Plain;
use super::pulse::Pulse;
use super::shared::Shared;
use super::trace::Trace;
use crate::scenario::error::ScenarioError;
use crate::scenario::model::{KindLoad, Limits, PhaseKind, RouteTimeouts, Scenario};
use crate::scenario::route::RoutePattern;

/// Scripts larger than this are refused, in bytes.
const SCRIPT_BYTES: u64 = 4 * 1024 * 1024;

/// A scenario ready to run.
#[derive(Debug)]
pub struct ScriptRun {
    /// The script's text.
    pub(super) source: Arc<str>,
    /// Its file name, for messages.
    pub(super) script_name: String,
    pub(super) schema: Option<Schema>,
    /// The type of error bodies.
    pub(super) error: Option<Message>,
    /// `Content-Type` of requests where nothing says otherwise.
    pub(super) content_type: Option<String>,
    /// Headers of every request with their lines: `Host` and the scenario's own. A call's own
    /// header takes the place of one of these.
    pub(super) fixed_headers: Vec<(String, Vec<u8>)>,
    /// The host of the target, for cookies.
    pub(super) host: String,
    pub(super) is_tls: bool,
    pub(super) user_agent: String,
    pub(super) limits: Limits,
    pub(super) timeouts: RouteTimeouts,
    pub(super) routes: Vec<(RoutePattern, String)>,
    pub(super) feeds: HashMap<String, Vec<Plain>>,
    pub(super) assets: HashMap<String, [u8; 32]>,
    /// Names of score tags, in the order of their numbers.
    pub(super) tags: Vec<String>,
    /// Names of the signals the plan listens to.
    pub(super) signals: Vec<String>,
    /// By phase: the names of the kinds of users in it, and whether scripts may ask for more.
    pub(super) phases: Vec<Vec<(String, bool)>>,
    pub(super) shared: Shared,
    pub(super) seed: u64,
    pub(super) threads: usize,
    /// Who hears of every request and reply.
    pub(super) trace: Option<Trace>,
    /// Says when interpreters shall look at the clock.
    pub(super) pulse: Pulse,
}

/// What a run decides besides the scenario.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// `Host` of the target, with its port if it needs one.
    pub authority: String,
    /// Its name or address alone.
    pub host: String,
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// An `Authorization` header from the URL.
    pub authorization: Option<String>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Load threads.
    pub threads: usize,
}

impl ScriptRun {
    /// Read what a scenario's folder holds besides `scenario.toml`.
    ///
    /// # Errors
    /// [`ScenarioError`] names the file and the line of what is wrong.
    pub fn new(scenario: &Scenario, options: &RunOptions) -> Result<Self, ScenarioError> {
        let source = read_text(&scenario.script)?;
        let schema = match &scenario.proto {
            None => None,
            Some(proto) => Some(
                Schema::compile(&proto.roots)
                    .map_err(|error| ScenarioError::new(&scenario.folder, error.to_string()))?,
            ),
        };
        let error = match (
            &schema,
            scenario.proto.as_ref().and_then(|p| p.error.as_ref()),
        ) {
            (Some(schema), Some(name)) => {
                let found = super::message::find_message(schema, name);
                Some(found.map_err(|error| {
                    let message = format!("proto.error: {}", super::vm::message_of(&error));
                    ScenarioError::new(&scenario.file, message)
                })?)
            }
            _ => None,
        };
        let mut feeds = HashMap::new();
        for (name, path) in &scenario.feeds {
            feeds.insert(name.clone(), super::feed::read(path)?);
        }
        let mut signals: Vec<String> = Vec::new();
        let mut phases = Vec::new();
        for phase in &scenario.phases {
            let mut kinds = Vec::new();
            if let PhaseKind::Load(load) = &phase.kind {
                for kind in &load.users {
                    // The others are as many as the file says, or come when it says.
                    let grows = matches!(kind.load, KindLoad::Feedback { .. });
                    kinds.push((kind.name.clone(), grows));
                    if let Some(until) = kind.load.until()
                        && !signals.iter().any(|known| known == until)
                    {
                        signals.push(until.to_owned());
                    }
                }
            }
            phases.push(kinds);
        }
        let script_name = scenario
            .script
            .file_name()
            .map_or_else(|| "scenario.luau".into(), |name| name.to_string_lossy());
        Ok(Self {
            source: source.into(),
            script_name: script_name.into_owned(),
            error,
            content_type: scenario.proto.as_ref().map(|p| p.content_type.clone()),
            schema,
            fixed_headers: fixed_headers(scenario, options),
            host: options.host.clone(),
            is_tls: options.is_tls,
            user_agent: scenario
                .user_agent
                .clone()
                .unwrap_or_else(|| concat!("isukit/", env!("CARGO_PKG_VERSION")).to_owned()),
            limits: scenario.limits,
            timeouts: scenario.timeouts.clone(),
            routes: scenario.routes.clone(),
            feeds,
            assets: scenario.assets.iter().cloned().collect(),
            tags: scenario.tags().map(str::to_owned).collect(),
            signals,
            phases,
            shared: Shared::default(),
            seed: options.seed,
            threads: options.threads,
            trace: None,
            pulse: Pulse::start(),
        })
    }

    /// The message types of the scenario.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// What a counter of the script is at.
    pub fn counter(&self, name: &str) -> f64 {
        self.shared.add(name, 0.0).unwrap_or(0.0)
    }

    /// The signals that the plan listens to, by number.
    pub fn signals(&self) -> &[String] {
        &self.signals
    }

    /// Tell `trace` of every request and its reply as they come.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Load the script once and see that it has the functions that the scenario wants.
    ///
    /// # Errors
    /// [`ScenarioError`] with the line of the script, or of `scenario.toml`.
    pub fn check_script(self: &Arc<Self>, scenario: &Scenario) -> Result<(), ScenarioError> {
        let wrong = |error: &mlua::Error| {
            // The message begins with the script's name and line.
            ScenarioError::new(&scenario.folder, super::vm::message_of(error))
        };
        let vm = super::vm::Vm::new(self).map_err(|error| wrong(&error))?;
        let module = vm.instance().map_err(|error| wrong(&error))?;
        let mut names = Vec::new();
        for pair in module.pairs::<mlua::Value, mlua::Value>() {
            let (name, value) = pair.map_err(|error| wrong(&error))?;
            if let (mlua::Value::String(name), mlua::Value::Function(_)) = (&name, &value) {
                names.push(name.to_string_lossy());
            }
        }
        for wanted in scenario.required_functions() {
            if names.iter().any(|name| name == wanted.function) {
                continue;
            }
            let hint = match isukit_proto::nearest(wanted.function, names.iter().map(|n| &**n)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it returns {}", names.join(", ")),
            };
            let message = format!(
                "{} `{}` wants the function `{}`, which {} does not return; {hint}",
                wanted.what, wanted.by, wanted.function, self.script_name
            );
            return Err(scenario.error_at(wanted.line, message));
        }
        Ok(())
    }
}

fn fixed_headers(scenario: &Scenario, options: &RunOptions) -> Vec<(String, Vec<u8>)> {
    let line = |name: &str, value: &str| {
        let line = format!("{name}: {value}\r\n").into_bytes();
        (name.to_owned(), line)
    };
    let mut lines = vec![line("Host", &options.authority)];
    let own = scenario.headers.iter();
    lines.extend(own.map(|(name, value)| line(name, value)));
    let is_given = scenario
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some(value) = options.authorization.as_ref().filter(|_| !is_given) {
        lines.push(line("Authorization", value));
    }
    lines
}

/// Read a text file of bounded size.
fn read_text(path: &Path) -> Result<String, ScenarioError> {
    let failed = |error: std::io::Error| ScenarioError::new(path, error.to_string());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > SCRIPT_BYTES {
        let message = format!("the script has {size} bytes, more than {SCRIPT_BYTES}");
        return Err(ScenarioError::new(path, message));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    // Some editors begin a file with a mark that is no part of the text.
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
