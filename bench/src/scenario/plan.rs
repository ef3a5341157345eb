//! A scenario made into what the engine runs.

use std::sync::Arc;

use super::model::{KindLoad, KindSpec, PhaseKind, PhaseSpec, Scenario};
use super::script::{ScriptBehaviour, ScriptRun};
use crate::engine::{Load, Phase, Population};
use crate::growth::Growth;
use crate::pace::Ramp;

/// The phases of a scenario, with scripted users in them.
pub fn phases(scenario: &Scenario, run: &Arc<ScriptRun>) -> Vec<Phase> {
    let mut kinds = Kinds::default();
    let numbered = scenario.phases.iter().enumerate();
    numbered
        .map(|(number, phase)| make_phase(scenario, run, phase, number, &mut kinds))
        .collect()
}

/// Kinds of users by name, so that one that is in several phases is the same in all of them.
#[derive(Default)]
struct Kinds(Vec<String>);

impl Kinds {
    fn number(&mut self, name: &str) -> usize {
        let at = self.0.iter().position(|known| known == name);
        at.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

fn make_phase(
    scenario: &Scenario,
    run: &Arc<ScriptRun>,
    phase: &PhaseSpec,
    number: usize,
    kinds: &mut Kinds,
) -> Phase {
    let mut behaviour = |name: &str, function: &str, repeat| {
        Arc::new(Arc::new(ScriptBehaviour {
            run: Arc::clone(run),
            phase: number,
            kind: kinds.number(name),
            name: name.to_owned(),
            function: function.to_owned(),
            repeat,
        }))
    };
    match &phase.kind {
        PhaseKind::Function {
            run: function,
            time_limit,
        } => Phase {
            until_done: true,
            strict: true,
            measured: false,
            populations: vec![Population {
                behaviour: behaviour(&phase.name, function, false),
                load: Load::Closed { users: 1 },
                until: None,
            }],
            ..Phase::new(&phase.name, *time_limit)
        },
        PhaseKind::Load(load) => Phase {
            stop_new: load.stop_new,
            drain: load.drain,
            measured: load.counts,
            populations: load
                .users
                .iter()
                .map(|kind| Population {
                    behaviour: behaviour(&kind.name, &kind.run, repeats(kind)),
                    load: engine_load(scenario, kind),
                    until: signal(run, kind),
                })
                .collect(),
            ..Phase::new(&phase.name, load.duration)
        },
    }
}

/// Whether who returns begins again.
fn repeats(kind: &KindSpec) -> bool {
    matches!(kind.load, KindLoad::Constant { .. } | KindLoad::Ramp { .. })
}

fn signal(run: &ScriptRun, kind: &KindSpec) -> Option<usize> {
    let until = kind.load.until()?;
    run.signals().iter().position(|signal| signal == until)
}

fn engine_load(scenario: &Scenario, kind: &KindSpec) -> Load {
    match &kind.load {
        KindLoad::Constant { users } => Load::Closed { users: *users },
        KindLoad::Ramp { from, points } => Load::Ramp(Arc::new(Ramp::new(*from, points))),
        KindLoad::Arrivals {
            schedule,
            max_users,
            ..
        } => Load::Open {
            arrivals: schedule.clone(),
            max_users: *max_users,
        },
        KindLoad::Feedback {
            users,
            on_score,
            on_error,
            at_most,
            ..
        } => Load::Feedback {
            users: *users,
            growth: Arc::new(Growth::new(
                scenario.score.tags.len(),
                on_score,
                *on_error,
                *at_most,
            )),
        },
    }
}
