//! A user in Rust, on the engine's own trait: for oracles that want a compiler behind them.
//!
//! A scenario's script is one implementation of [`User`]; this is another. Each founder makes a team,
//! looks at the team that it was given, checks that it is the right one and scores.
//!
//! ```text
//! teams-target --listen 127.0.0.1:8080
//! cargo run -p isukit --example rust_user -- 127.0.0.1:8080 scenarios/teams
//! ```

// A module of the test that runs it, too.
#![allow(dead_code, unreachable_pub)]

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isukit::engine::{
    self, Behaviour, Call, ClientId, Cx, Fault, FaultKind, Load, Local, Next, Outcome, Phase, Plan,
    Population, ReplyView, StopSwitch, Timeouts, User, Wake,
};
use isukit::http1::target::Target;
use isukit_analyze::http1::Want;
use isukit_analyze::http1::limits::ReplyLimits;
use isukit_proto::{FieldPath, FieldRef, Message, Schema, WriteValue};

/// The tags that are scored, by index.
pub const TAGS: [&str; 1] = ["team_founded_and_read"];

/// What all founders share: looked up once, used for every request.
struct Founders {
    authority: String,
    create: Message,
    create_name: FieldRef,
    /// Paths into the replies.
    created_id: FieldPath,
    created_name: FieldPath,
    read_id: FieldPath,
}

impl Founders {
    fn new(schema: &Schema, authority: &str) -> Result<Self, Box<dyn Error>> {
        let create = schema.message("CreateTeamRequest")?;
        let created = schema.message("CreateTeamResponse")?;
        Ok(Self {
            authority: authority.to_owned(),
            create_name: create.field("name")?,
            create,
            created_id: created.path("team.id")?,
            created_name: created.path("team.name")?,
            read_id: schema.message("GetTeamResponse")?.path("team.id")?,
        })
    }

    /// A whole request.
    fn request(&self, line: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/vnd.google.protobuf\r\n\
             Content-Length: {}\r\n\r\n",
            self.authority,
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// Makes the users of a population.
struct FounderBehaviour(Arc<Founders>);

impl Behaviour for FounderBehaviour {
    fn user(&self, _: &mut Local) -> Box<dyn User> {
        Box::new(Founder {
            all: Arc::clone(&self.0),
            client: None,
            name: String::new(),
            number: 0,
            round: 0,
            waits_for: Step::Create,
        })
    }
}

/// What a founder waits for: the flow, as a state machine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Create,
    Read { id: i64 },
}

struct Founder {
    all: Arc<Founders>,
    /// Connections of its own, as a browser has them.
    client: Option<ClientId>,
    name: String,
    number: u64,
    round: u64,
    waits_for: Step,
}

impl User for Founder {
    fn resume(&mut self, cx: &mut Cx<'_>, wake: Wake<'_>) -> Next {
        match wake {
            Wake::Start { number, .. } => {
                self.number = number;
                self.client = Some(cx.open_client());
                self.found(cx)
            }
            Wake::Reply(reply) => match self.waits_for {
                Step::Create => self.created(cx, &reply),
                Step::Read { id } => self.read(cx, &reply, id),
            },
            // A call without a reply is counted already: pause, and begin again.
            Wake::Failed(_) => Next::Until(cx.now() + 10_000_000),
            Wake::Timer | Wake::Letter(_) => self.found(cx),
        }
    }
}

impl Founder {
    /// The first step, or the end when the phase wants nothing new.
    fn found(&mut self, cx: &mut Cx<'_>) -> Next {
        if !cx.running() {
            if let Some(client) = self.client.take() {
                cx.close_client(client);
            }
            return Next::Done;
        }
        self.round += 1;
        self.name = format!("rust-{}-{}", self.number, self.round);
        self.waits_for = Step::Create;
        let mut body = Vec::new();
        let mut writer = self.all.create.writer(&mut body);
        let written = writer
            .put(self.all.create_name, WriteValue::Str(&self.name))
            .and_then(|()| writer.finish());
        if let Err(error) = written {
            let step = cx.step("(user)");
            cx.fault(
                step,
                &Fault::new(FaultKind::NotEncodable, error.to_string()),
            );
            return Next::Done;
        }
        let bytes = self.all.request("POST /api/teams", &body);
        self.send(cx, "create", &bytes)
    }

    fn send(&self, cx: &mut Cx<'_>, step: &str, bytes: &[u8]) -> Next {
        let step = cx.step(step);
        cx.call(&Call {
            step,
            client: self.client.unwrap_or_default(),
            due_at: cx.now(),
            want: Want {
                body: true,
                ..Want::default()
            },
            bytes,
            first_part: bytes.len(),
            ..Call::default()
        });
        Next::Reply
    }

    fn created(&mut self, cx: &mut Cx<'_>, reply: &ReplyView<'_>) -> Next {
        let found = succeeded(reply).and_then(|()| {
            let name = self.all.created_name.get(reply.body).map_err(broken)?;
            let id = self.all.created_id.get(reply.body).map_err(broken)?;
            match (name.as_str() == Some(&*self.name), id.as_i64()) {
                (true, Some(id)) => Ok(id),
                _ => Err(failed(format!("made {} and got {name:?}", self.name))),
            }
        });
        cx.check("the team has its name", text_of(&found));
        let id = found.as_ref().copied().unwrap_or(0);
        cx.judge(reply, &found.map(drop));
        if id == 0 {
            return Next::Until(cx.now() + 10_000_000);
        }
        self.waits_for = Step::Read { id };
        let bytes = self.all.request(&format!("GET /api/teams/{id}"), &[]);
        self.send(cx, "read", &bytes)
    }

    fn read(&mut self, cx: &mut Cx<'_>, reply: &ReplyView<'_>, id: i64) -> Next {
        let found = succeeded(reply).and_then(|()| {
            let read = self.all.read_id.get(reply.body).map_err(broken)?;
            match read.as_i64() == Some(id) {
                true => Ok(()),
                false => Err(failed(format!("asked for team {id} and got {read:?}"))),
            }
        });
        cx.check("it is the team asked for", text_of(&found));
        if found.is_ok() {
            cx.score(0, 1);
        }
        cx.judge(reply, &found);
        self.found(cx)
    }
}

fn succeeded(reply: &ReplyView<'_>) -> Result<(), Fault> {
    match reply.status {
        200..=299 => Ok(()),
        status => Err(Fault::new(
            FaultKind::Status(status),
            format!("status {status}"),
        )),
    }
}

fn failed(detail: String) -> Fault {
    Fault::new(FaultKind::Check, detail)
}

fn broken(error: isukit_proto::DecodeError) -> Fault {
    Fault::new(FaultKind::BadMessage, error.to_string())
}

fn text_of<T>(found: &Result<T, Fault>) -> Option<&str> {
    found.as_ref().err().map(|fault| &*fault.detail)
}

/// Load `target` with `users` founders for so long. `protos` is a folder with `teams.proto`.
///
/// # Errors
/// When there is no such target, no such message or no thread to be had.
pub fn load(
    target: &str,
    protos: PathBuf,
    users: usize,
    duration: Duration,
) -> Result<Outcome, Box<dyn Error>> {
    let target = Target::parse(target)?;
    let schema = Schema::compile(&[protos])?;
    let founders = Founders::new(&schema, &target.authority)?;
    let mut phase = Phase::new("load", duration);
    phase.drain = Duration::from_secs(1);
    phase.populations.push(Population {
        behaviour: Arc::new(FounderBehaviour(Arc::new(founders))),
        load: Load::Closed { users },
        until: None,
    });
    let plan = Plan {
        endpoint: target.resolve(&[])?,
        tls: None,
        threads: 1,
        steps: Vec::new(),
        signals: Vec::new(),
        client_connections: 6,
        phases: vec![phase],
        timeouts: Timeouts::default(),
        limits: ReplyLimits::default(),
        seed: 0,
    };
    Ok(engine::run(
        &Arc::new(plan),
        &StopSwitch::default(),
        None,
        |_, _| {},
    )?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let target = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let protos = args.next().unwrap_or_else(|| "scenarios/teams".to_owned());
    let outcome = load(&target, protos.into(), 16, Duration::from_secs(3))?;
    let all = &outcome.totals.all;
    let mut out = std::io::stdout();
    writeln!(out, "{} errors", all.errors())?;
    for (name, count) in TAGS.iter().zip(&all.tags) {
        writeln!(out, "{count} {name}")?;
    }
    Ok(())
}
