//! Loops in the items of one connection: a body of one to eight statements, run at least twice.
//!
//! A loop of a body of `p` is a longest stretch of items each of which equals the one `p` places
//! before it. That does not depend on where the reading began, which is what lets parts of a log be
//! joined; see [`Machine::join`].

use serde::{Deserialize, Serialize};

use super::item::{Gap, Item, Parents, Ring};
use super::limits::{BODY, HEAD};

/// How often a statement of a body ran, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) statements: u64,
    pub(super) ns: u64,
}

impl Sum {
    pub(super) fn add(&mut self, other: Sum) {
        self.statements = self.statements.saturating_add(other.statements);
        self.ns = self.ns.saturating_add(other.ns);
    }
}

/// A loop that has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended<'a> {
    pub(super) parents: Parents,
    pub(super) body: &'a [u32],
    pub(super) sums: &'a [Sum],
    /// How often the whole body ran. A statement of it may have run more often, as two rounds between
    /// which another one was left out look like one.
    pub(super) rounds: u64,
}

/// Where loops go that have ended.
pub(super) trait Sink {
    fn ended(&mut self, ended: &Ended<'_>);
}

/// Tells nobody.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn ended(&mut self, _: &Ended<'_>) {}
}

/// A loop that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Loop {
    body: [u32; BODY],
    sums: [Sum; BODY],
    /// Of `sums`, how many items they hold.
    items: u64,
    /// Where in the body the next item is: `items` modulo its length.
    place: usize,
    parents: Parents,
    /// Whether it was there when the head was full: `sums` and `items` then begin behind the head.
    spans: bool,
}

/// Which loops are open on a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    ring: Ring,
    /// Items since a gap, counted as far as the longest body.
    since_gap: u32,
    /// By length of the body (from 2): how many items in succession equalled the one before by it,
    /// counted as far as the length.
    equal: [u32; BODY + 1],
    /// Bit `p`: `equal[p]` is not 0.
    stretches: u16,
    loops: [Option<Box<Loop>>; BODY + 1],
    /// Loops that began in the head and ended behind it: their parents are found when the head is
    /// put behind what was before it.
    ended: [Option<Box<Loop>>; BODY + 1],
}

impl Machine {
    /// Take in the next item. `sink` is none while the head is filled, as the head is read again.
    #[inline]
    pub(super) fn push(&mut self, item: Item, sink: Option<&mut impl Sink>) {
        self.since_gap = match item.gap {
            Gap::None => (self.since_gap + 1).min(BODY as u32),
            _ => 0,
        };
        let mut equals = 0u16;
        let longest = (self.since_gap as usize).min(self.ring.len());
        for body in 2..=longest {
            equals |= u16::from(self.ring.back(body - 1).shape == item.shape) << body;
        }
        self.ring.push(item);
        if item.count < 2 && equals | self.stretches == 0 {
            return;
        }
        self.follow(item, equals, sink);
    }

    fn follow(&mut self, item: Item, equals: u16, mut sink: Option<&mut impl Sink>) {
        if item.count >= 2
            && let Some(sink) = sink.as_deref_mut()
        {
            sink.ended(&Ended {
                parents: self.ring.parents(0),
                body: &[item.shape],
                sums: &[Sum {
                    statements: item.count.into(),
                    ns: item.ns,
                }],
                rounds: item.count.into(),
            });
        }
        let mut bodies = equals | self.stretches;
        while bodies != 0 {
            let body = (bodies.trailing_zeros() as usize).min(BODY);
            bodies &= bodies - 1;
            if equals & (1 << body) == 0 {
                self.end(body, sink.as_deref_mut());
                continue;
            }
            self.equal[body] = (self.equal[body] + 1).min(body as u32);
            match &mut self.loops[body] {
                Some(open) => open.add(body, &item),
                None if self.equal[body] as usize == body => {
                    self.loops[body] = Some(Box::new(self.open(body)));
                }
                None => {}
            }
        }
        self.stretches = equals;
    }

    /// The loop whose second round has just ended.
    fn open(&self, body: usize) -> Loop {
        let first = 2 * body - 1;
        let mut open = Loop {
            body: [0; BODY],
            sums: [Sum::default(); BODY],
            items: 0,
            place: 0,
            parents: self.ring.parents(first),
            spans: false,
        };
        for back in (0..=first).rev() {
            let item = self.ring.back(back);
            if let Some(shape) = open.body[..body].get_mut(open.items as usize) {
                *shape = item.shape;
            }
            open.add(body, item);
        }
        open
    }

    fn end(&mut self, body: usize, sink: Option<&mut impl Sink>) {
        self.equal[body] = 0;
        self.stretches &= !(1 << body);
        let Some(open) = self.loops[body].take() else {
            return;
        };
        if open.spans {
            self.ended[body] = Some(open);
        } else if let Some(sink) = sink {
            open.tell(body, sink);
        }
    }

    /// The head is full: what is open goes on from here in sums of its own.
    pub(super) fn head_is_full(&mut self) {
        for open in self.loops.iter_mut().flatten() {
            open.spans = true;
            open.items = 0;
            open.place = 0;
            open.sums = [Sum::default(); BODY];
        }
    }

    /// Put `later` behind this. Its head has been pushed here already, and is full.
    pub(super) fn join(&mut self, mut later: Machine, sink: &mut impl Sink) {
        for body in 2..=BODY {
            let spanning = match (later.ended[body].take(), &later.loops[body]) {
                (Some(ended), _) => Some((ended, true)),
                (None, Some(open)) if open.spans => {
                    later.loops[body].take().map(|open| (open, false))
                }
                _ => None,
            };
            let mut still_open = false;
            if let Some((more, has_ended)) = spanning {
                if let Some(open) = &mut self.loops[body] {
                    open.join(body, &more);
                    still_open = !has_ended;
                }
                if has_ended {
                    self.end(body, Some(sink));
                }
            }
            self.equal[body] = later.equal[body];
            if !still_open {
                self.loops[body] = later.loops[body].take();
            }
        }
        self.stretches = later.stretches;
        self.since_gap = later.since_gap;
        self.ring.join(&later.ring, HEAD);
    }

    /// The connection says no more.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        for body in 2..=BODY {
            if self.stretches & (1 << body) != 0 {
                self.end(body, Some(sink));
            }
        }
    }

    /// What to do with the shapes of everything that is kept.
    pub(super) fn map(&mut self, map: &impl Fn(u32) -> u32) {
        let items = self.ring.items().map(|mut item| {
            item.shape = map(item.shape);
            item
        });
        self.ring = Ring::of(items, self.ring.pushed());
        let loops = self.loops.iter_mut().enumerate();
        for (body, open) in loops.chain(self.ended.iter_mut().enumerate()) {
            let Some(open) = open else { continue };
            for shape in open.body.iter_mut().take(body) {
                *shape = map(*shape);
            }
            for parent in open.parents.iter_mut().flatten() {
                parent.shape = map(parent.shape);
            }
        }
    }
}

impl Loop {
    #[inline]
    fn add(&mut self, body: usize, item: &Item) {
        if let Some(sum) = self.sums.get_mut(self.place) {
            sum.add(Sum {
                statements: item.count.into(),
                ns: item.ns,
            });
        }
        self.place = if self.place + 1 >= body {
            0
        } else {
            self.place + 1
        };
        self.items = self.items.saturating_add(1);
    }

    /// Put `more`, which counts from where this ends, behind this.
    fn join(&mut self, body: usize, more: &Loop) {
        for (place, sum) in more.sums.iter().enumerate().take(body) {
            let place = (self.place.min(body) + place) % body;
            if let Some(own) = self.sums.get_mut(place) {
                own.add(*sum);
            }
        }
        self.place = (self.place.min(body) + more.place.min(body)) % body;
        self.items = self.items.saturating_add(more.items);
    }

    fn tell(&self, body: usize, sink: &mut impl Sink) {
        let shapes = self.body.get(..body).unwrap_or_default();
        // A body that repeats itself is told as the shorter one.
        let repeats = |part: usize| {
            body.is_multiple_of(part)
                && shapes
                    .iter()
                    .zip(&shapes[part..])
                    .all(|(one, next)| one == next)
        };
        if (1..body).any(repeats) {
            return;
        }
        sink.ended(&Ended {
            parents: self.parents,
            body: shapes,
            sums: self.sums.get(..body).unwrap_or_default(),
            rounds: self.items / body as u64,
        });
    }
}

/// A machine as it is saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    ring: Vec<Item>,
    pushed: u64,
    since_gap: u32,
    equal: Vec<u32>,
    loops: Vec<(usize, Loop)>,
    ended: Vec<(usize, Loop)>,
}

impl From<&Machine> for Saved {
    fn from(machine: &Machine) -> Self {
        let list = |loops: &[Option<Box<Loop>>]| {
            let there = loops.iter().enumerate();
            let there = there.filter_map(|(body, open)| Some((body, open.as_deref()?.clone())));
            there.collect()
        };
        Self {
            ring: machine.ring.items().collect(),
            pushed: machine.ring.pushed(),
            since_gap: machine.since_gap,
            equal: machine.equal.to_vec(),
            loops: list(&machine.loops),
            ended: list(&machine.ended),
        }
    }
}

impl From<Saved> for Machine {
    fn from(saved: Saved) -> Self {
        let mut machine = Machine {
            ring: Ring::of(saved.ring, saved.pushed),
            since_gap: saved.since_gap.min(BODY as u32),
            ..Machine::default()
        };
        for body in 2..=BODY {
            let equal = saved.equal.get(body).copied().unwrap_or(0);
            machine.equal[body] = equal.min(body as u32);
            machine.stretches |= u16::from(machine.equal[body] != 0) << body;
        }
        let places = [
            (&mut machine.loops, saved.loops),
            (&mut machine.ended, saved.ended),
        ];
        for (places, loops) in places {
            for (body, open) in loops {
                if (2..=BODY).contains(&body) {
                    let place = open.place.min(body - 1);
                    places[body] = Some(Box::new(Loop { place, ..open }));
                }
            }
        }
        machine
    }
}
