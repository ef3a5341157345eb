//! One shard's interpreter: what scripts may call, and what keeps them within bounds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use isukit_proto::Message;
use mlua::{Error, Function, Lua, LuaOptions, Result, StdLib, Table, Value, VmState};
use rustc_hash::{FxHashMap, FxHashSet};

use super::client::Client;
use super::flow::Flow;
use super::message::{Kinds, MessageType};
use super::reply::Judging;
use super::run::ScriptRun;
use super::shared::Waiter;
use super::user::Ready;
use crate::engine::{Fault, Nanos, StepId};

/// The prelude, which gives what waits its name.
const PRELUDE: &str = include_str!("prelude.luau");

/// Safe points between two looks at how long a script has been computing.
const TICKS: u32 = 2_000;

/// What scripts do besides waiting; it is done when they wait.
#[derive(Debug)]
pub(super) enum Effect {
    Score(usize, u64),
    Check(Rc<str>, Option<Box<str>>),
    /// A failure that belongs to no reply any more.
    Fault(Fault),
    Critical(String),
    Wake(Waiter),
    /// A signal of the plan.
    Raise(usize),
    /// Another flow of this user.
    Spawn(Function),
    /// More users of a kind.
    Launch(usize, usize),
}

/// What a user keeps while he waits, and the host lends to scripts while they run.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) kind: usize,
    pub(super) number: u64,
    pub(super) random: fastrand::Rng,
    /// Names given so far.
    pub(super) named: u64,
    pub(super) clients: Vec<Client>,
    /// The step of his last call.
    pub(super) last_step: StepId,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            kind: 0,
            number: 0,
            random: fastrand::Rng::with_seed(0),
            named: 0,
            clients: Vec::new(),
            last_step: StepId(0),
        }
    }
}

/// What the host's functions see of the flow that runs.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) run: Arc<ScriptRun>,
    pub(super) kinds: Kinds,
    pub(super) own: RefCell<Own>,
    pub(super) effects: RefCell<Vec<Effect>>,
    pub(super) judging: RefCell<Option<Judging>>,
    /// Names of checks, so that one that holds costs no memory.
    names: RefCell<FxHashSet<Rc<str>>>,
    /// On the run's clock.
    pub(super) now: Cell<Nanos>,
    /// Wall clock in microseconds since the Unix epoch.
    pub(super) unix_us: Cell<i64>,
    pub(super) running: Cell<bool>,
    /// Kind and number of the user, where requests are shown.
    pub(super) who: RefCell<String>,
    /// Index of the phase's populations by kind, for `spawn`.
    pub(super) phase: Cell<usize>,
    /// Flows that the running flow has asked for.
    pub(super) spawned: Cell<usize>,
    ticks: Cell<u32>,
    /// Beats of the pulse when the clock was last looked at.
    beats: Cell<u32>,
    /// Thread CPU time when the flow was first looked at, in nanoseconds.
    began: Cell<Option<u64>>,
}

impl Host {
    /// Count a fault: with the reply `serial` if the flow still looks at it.
    pub(super) fn fault_of(&self, serial: u64, fault: Fault) {
        if let Some(judging) = &mut *self.judging.borrow_mut()
            && judging.serial == serial
            && judging.fault.is_none()
        {
            judging.fault = Some(fault);
            return;
        }
        self.effects.borrow_mut().push(Effect::Fault(fault));
    }

    /// Count a fault: with the reply that the flow looks at, if there is one.
    pub(super) fn fault(&self, fault: Fault) {
        let serial = self.judging.borrow().as_ref().map(|judging| judging.serial);
        self.fault_of(serial.unwrap_or(u64::MAX), fault);
    }

    /// A name that is used again and again. How many there are is bounded: others are not kept.
    pub(super) fn name(&self, name: &str) -> Rc<str> {
        const NAMES: usize = 1_000;
        let mut names = self.names.borrow_mut();
        if let Some(known) = names.get(name) {
            return Rc::clone(known);
        }
        let new: Rc<str> = name.into();
        if names.len() < NAMES {
            names.insert(Rc::clone(&new));
        }
        new
    }

    pub(super) fn act(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }

    /// A flow is about to run.
    pub(super) fn begin(&self) {
        self.spawned.set(0);
        self.ticks.set(0);
        self.began.set(None);
    }

    /// Where the running flow is in the script, as `scenario.luau:12: `.
    fn script_line(&self, lua: &Lua) -> String {
        let at = (0..20).find_map(|level| {
            lua.inspect_stack(level, |frame| {
                let source = frame.source().short_src?;
                (source == self.run.script_name).then(|| frame.current_line())?
            })?
        });
        at.map_or_else(String::new, |line| {
            format!("{}:{line}: ", self.run.script_name)
        })
    }

    /// Called by the interpreter at safe points.
    fn tick(&self, lua: &Lua) -> Result<VmState> {
        let ticks = self.ticks.get() + 1;
        let beats = self.run.pulse.count();
        // Between two safe points may lie a second's work of the host, so their number is not enough.
        if ticks < TICKS && beats == self.beats.get() {
            self.ticks.set(ticks);
            return Ok(VmState::Continue);
        }
        self.beats.set(beats);
        self.ticks.set(0);
        let used = crate::engine::machine::thread_cpu_ns();
        let Some(began) = self.began.get() else {
            self.began.set(Some(used));
            return Ok(VmState::Continue);
        };
        let limit = self.run.limits.cpu;
        if u128::from(used.saturating_sub(began)) > limit.as_nanos() {
            // It stays too late: a pcall around the loop does not help.
            self.ticks.set(TICKS);
            let at = self.script_line(lua);
            return Err(Error::external(Flow::Runaway(format!(
                "{at}the script computed for more than {limit:?} without waiting; is there a loop \
                 without a call or a pause in it? (limits.cpu)"
            ))));
        }
        Ok(VmState::Continue)
    }
}

/// A Content-Type and the message type that it names.
type NamedType = (Box<[u8]>, Option<Message>);

/// One shard's interpreter.
pub(super) struct Vm {
    pub(super) lua: Lua,
    pub(super) host: Rc<Host>,
    /// Runs the script: makes a user's own functions.
    module: Function,
    pub(super) flow: Function,
    pub(super) make_user: Function,
    /// Where a coroutine is in the script.
    pub(super) locate: Function,
    /// Memory that scripts may take, in bytes.
    memory: usize,
    /// Whether the heap is so large that the collector saves memory rather than time.
    saves: Cell<bool>,
    /// Memory of the list of flows that may go on.
    pub(super) ready: Cell<Ready>,
    /// Memory that requests are written in.
    pub(super) request: Cell<Vec<u8>>,
    /// Memory that routes and names of steps are written in.
    pub(super) route: Cell<(String, String)>,
    /// Steps and timeouts of calls whose paths have no ids in them.
    pub(super) steps: RefCell<FxHashMap<Box<str>, (StepId, Duration)>>,
    /// What caches hold, by path: thousands of clients keep the same few files.
    stored: RefCell<FxHashMap<Box<str>, Rc<[u8]>>>,
    /// The last Content-Type, and the message type it names.
    pub(super) last_type: RefCell<Option<NamedType>>,
    /// Bytes of replies that the collector has not been told of.
    owed: Cell<usize>,
}

/// A heap larger than this is collected with care for memory, in bytes.
const LARGE_HEAP: usize = 16 * 1024 * 1024;

/// Bytes of replies that one step of the collector makes up for.
const STEP_BYTES: usize = 1024;

/// Bytes of replies after which the collector is made to go on.
const COLLECT_BYTES: usize = 64 * 1024;

impl Vm {
    /// An interpreter with the run's script loaded.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub(super) fn new(run: &Arc<ScriptRun>) -> Result<Self> {
        let libs = StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::BUFFER
            | StdLib::COROUTINE
            | StdLib::DEBUG;
        let lua = Lua::new_with(libs, LuaOptions::new())?;
        let share = run.limits.memory / run.threads.max(1) as u64;
        let memory = usize::try_from(share).unwrap_or(usize::MAX);
        lua.set_compiler(
            mlua::chunk::Compiler::new()
                .set_optimization_level(2)
                .set_debug_level(1),
        );
        let host = Rc::new(Host {
            run: Arc::clone(run),
            kinds: Kinds::default(),
            own: RefCell::default(),
            effects: RefCell::default(),
            judging: RefCell::default(),
            names: RefCell::default(),
            now: Cell::new(0),
            unix_us: Cell::new(0),
            running: Cell::new(true),
            who: RefCell::default(),
            phase: Cell::new(0),
            spawned: Cell::new(0),
            ticks: Cell::new(0),
            beats: Cell::new(0),
            began: Cell::new(None),
        });
        lua.set_app_data(Rc::clone(&host));
        let private = super::api::install(&lua, &host)?;
        let prelude: Table = lua.load(PRELUDE).set_name("=isukit").call(private)?;
        let globals = lua.globals();
        prelude
            .get::<Table>("globals")?
            .for_each(|name: Value, value: Value| globals.raw_set(name, value))?;
        for name in super::api::REMOVED {
            globals.raw_set(*name, Value::Nil)?;
        }
        if let Some(schema) = &run.schema {
            MessageType::fill(&globals.get("P")?, &host.kinds, schema)?;
        }
        lua.sandbox(true)?;
        // Sandboxing gives scripts a table of their own for globals: it is closed too, with words of
        // its own. What a script reads of it is looked up only once, if the script is loaded now.
        let meta = lua.create_table()?;
        meta.raw_set("__index", globals)?;
        meta.raw_set("__newindex", prelude.get::<Function>("no_global")?)?;
        lua.globals().set_metatable(Some(meta))?;
        let module = load(&lua, run)?;
        let watch = Rc::clone(&host);
        lua.set_interrupt(move |lua| watch.tick(lua));
        Ok(Self {
            module,
            flow: prelude.get("flow")?,
            make_user: prelude.get("make_user")?,
            locate: prelude.get("locate")?,
            memory,
            saves: Cell::new(false),
            ready: Cell::default(),
            request: Cell::default(),
            route: Cell::default(),
            steps: RefCell::default(),
            stored: RefCell::default(),
            last_type: RefCell::default(),
            lua,
            host,
            owed: Cell::new(0),
        })
    }

    /// The script's functions, made anew: their locals are nobody else's.
    ///
    /// # Errors
    /// What the script's outer part throws, or that it returns no table.
    pub(super) fn instance(&self) -> Result<Table> {
        self.limit_memory();
        let returned = self.module.call::<Value>(());
        self.free_memory();
        match returned? {
            Value::Table(table) => Ok(table),
            other => Err(Error::runtime(format!(
                "{} returns a {}; it should end with `return {{ NAME = function(u) ... end }}`",
                self.host.run.script_name,
                super::plain::type_name(&other)
            ))),
        }
    }

    /// A reply for a client's cache: an earlier one with the same body if there is one, so that it is
    /// in memory once.
    pub(super) fn share(&self, path: &str, bytes: Rc<[u8]>, head_len: usize) -> (Rc<[u8]>, usize) {
        const FILES: usize = 200;
        let mut stored = self.stored.borrow_mut();
        if let Some(known) = stored.get(path)
            && let Some(known_head) = known.len().checked_sub(bytes.len() - head_len)
            && known[known_head..] == bytes[head_len..]
            && known[..known_head].ends_with(b"\r\n\r\n")
        {
            return (Rc::clone(known), known_head);
        }
        if stored.len() < FILES || stored.contains_key(path) {
            stored.insert(path.into(), Rc::clone(&bytes));
        }
        (bytes, head_len)
    }

    /// Hold scripts to their memory while they run.
    pub(super) fn limit_memory(&self) {
        // Fails only where the memory is somebody else's, which an interpreter of our own's is not.
        let _ = self.lua.set_memory_limit(self.memory);
    }

    /// The host's own work needs no limit, and is much cheaper without one: with a limit, every
    /// value that is made is made in a protected call.
    pub(super) fn free_memory(&self) {
        let _ = self.lua.set_memory_limit(0);
    }

    /// A small heap may double before it is collected; one of ten thousand users should not.
    fn tune(&self) {
        let large = self.lua.used_memory() > LARGE_HEAP;
        if large == self.saves.get() {
            return;
        }
        self.saves.set(large);
        let goal = if large { 115 } else { 200 };
        let parameters = mlua::state::GcIncParams::default().goal(goal);
        self.lua
            .gc_set_mode(mlua::state::GcMode::Incremental(parameters));
    }

    /// Replies hold memory that the collector does not see: let it work for it.
    pub(super) fn owe(&self, bytes: usize) {
        let owed = self.owed.get() + bytes;
        if owed < COLLECT_BYTES {
            self.owed.set(owed);
            return;
        }
        self.owed.set(0);
        self.tune();
        // A step does about as much work as two kilobytes are worth; what is owed is paid at once.
        for _ in 0..owed / STEP_BYTES {
            // A step that fails leaves the collector as it was.
            if self.lua.gc_step().unwrap_or(true) {
                break;
            }
        }
    }
}

/// Compile the script.
fn load(lua: &Lua, run: &ScriptRun) -> Result<Function> {
    lua.load(run.source.as_ref())
        .set_name(format!("={}", run.script_name))
        .set_mode(mlua::chunk::ChunkMode::Text)
        .into_function()
}

/// Lifts the limit on memory while the host makes values for a script, of bounded size.
pub(super) struct Unlimited<'l> {
    lua: &'l Lua,
    limit: usize,
}

impl<'l> Unlimited<'l> {
    pub(super) fn new(lua: &'l Lua) -> Self {
        let limit = lua.set_memory_limit(0).unwrap_or(0);
        Self { lua, limit }
    }
}

impl Drop for Unlimited<'_> {
    fn drop(&mut self) {
        let _ = self.lua.set_memory_limit(self.limit);
    }
}

/// The host of an interpreter.
///
/// # Errors
/// Never in an interpreter that [`Vm::new`] made.
pub(super) fn host(lua: &Lua) -> Result<Rc<Host>> {
    lua.app_data_ref::<Rc<Host>>()
        .map(|host| Rc::clone(&host))
        .ok_or_else(|| Error::runtime("there is no host"))
}

/// The message types of an interpreter, as a guard that keeps the host alive.
pub(super) fn kinds(lua: &Lua) -> Result<KindsRef> {
    host(lua).map(KindsRef)
}

/// The host, seen as its message types.
pub(super) struct KindsRef(Rc<Host>);

impl std::ops::Deref for KindsRef {
    type Target = Kinds;

    fn deref(&self) -> &Kinds {
        &self.0.kinds
    }
}

/// The message of an error that came out of a script: where it happened first, no stack below it.
pub(super) fn message_of(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, traceback } => {
            // A callback's error has no place of its own; the first line of the script in the stack
            // is where it was called.
            let place = traceback
                .lines()
                .map(str::trim)
                .find(|line| line.contains(".luau:") && !line.starts_with("isukit:"));
            let place = place.and_then(|line| {
                let end = line.rfind(|c: char| c.is_ascii_digit())?;
                let line = &line[..=end];
                let colon = line.find(".luau:")? + ".luau:".len();
                let digits = line[colon..].find(|c: char| !c.is_ascii_digit());
                Some(line[..digits.map_or(line.len(), |at| colon + at)].to_owned())
            });
            let message = message_of(cause);
            match place {
                Some(place) if !message.starts_with(&place) => format!("{place}: {message}"),
                _ => message,
            }
        }
        Error::RuntimeError(message) => first_paragraph(message),
        Error::MemoryError(_) => {
            "the scripts took more memory than limits.memory allows".to_owned()
        }
        other => first_paragraph(&other.to_string()),
    }
}

fn first_paragraph(message: &str) -> String {
    if let Some(at) = message.find("attempt to yield across") {
        return format!(
            "{}this cannot wait: calls and pauses have no place in the outer part of the script, in \
             what sorts or replaces, or in metamethods",
            &message[..at]
        );
    }
    let end = message.find("\nstack traceback:").unwrap_or(message.len());
    message[..end].trim_end().to_owned()
}
