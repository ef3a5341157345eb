//! What one connection said in a part of a log.

use serde::{Deserialize, Serialize};

use super::item::{Gap, Item};
use super::limits::HEAD;
use super::machine::{Machine, Nowhere, Saved as SavedMachine, Sink};

/// The statements of a connection, or of a part of its life.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(super) struct Connection {
    /// The first items as they came, as long as it is not known what was before them.
    head: Vec<Item>,
    /// Whether `head` is of no more use: nothing will be put before it.
    is_whole: bool,
    machine: Machine,
    /// The item that goes on.
    open: Option<Item>,
    /// What came since the last statement.
    gap: Gap,
    /// The first statement's request, and the last one's; 0 when they told none.
    requests: Option<(u64, u64)>,
}

impl Connection {
    /// A connection of which it is known that nothing was before.
    pub(super) fn whole() -> Self {
        Self {
            is_whole: true,
            ..Self::default()
        }
    }

    /// A transaction began or ended, or something else that no loop reaches across.
    #[inline]
    pub(super) fn part(&mut self, gap: Gap) {
        self.gap = gap;
    }

    /// A statement. Its `gap` is found here.
    #[inline]
    pub(super) fn statement(&mut self, mut item: Item, request: u64, sink: &mut impl Sink) {
        item.gap = std::mem::take(&mut self.gap);
        match &mut self.requests {
            None => self.requests = Some((request, request)),
            Some((_, last)) => {
                if *last != request {
                    item.gap = Gap::Begin;
                    *last = request;
                }
            }
        }
        self.add(item, sink);
    }

    #[inline]
    fn add(&mut self, item: Item, sink: &mut impl Sink) {
        match &mut self.open {
            Some(open) if open.continues(&item) => open.extend(&item),
            Some(open) => {
                let closed = std::mem::replace(open, item);
                self.push(closed, sink);
            }
            None => self.open = Some(item),
        }
    }

    fn push(&mut self, item: Item, sink: &mut impl Sink) {
        if self.is_whole || self.head.len() >= HEAD {
            self.machine.push(item, Some(sink));
            return;
        }
        if self.head.capacity() == 0 {
            self.head.reserve_exact(HEAD);
        }
        self.head.push(item);
        self.machine.push(item, None::<&mut Nowhere>);
        if self.head.len() == HEAD {
            self.machine.head_is_full();
        }
    }

    /// Put `later` behind this.
    pub(super) fn join(&mut self, mut later: Connection, sink: &mut impl Sink) {
        let Some((first, last)) = later.requests else {
            // It said nothing.
            if later.gap != Gap::None {
                self.gap = later.gap;
            }
            return;
        };
        let before = std::mem::replace(&mut self.gap, later.gap);
        let is_other_request = match &mut self.requests {
            None => {
                self.requests = Some((first, last));
                false
            }
            Some((_, own)) => std::mem::replace(own, last) != first,
        };
        if let Some(item) = later.head.first_mut().or(later.open.as_mut()) {
            if is_other_request {
                item.gap = Gap::Begin;
            } else if item.gap == Gap::None {
                item.gap = before;
            }
        }
        let is_long = later.head.len() >= HEAD;
        for item in later.head {
            self.add(item, sink);
        }
        if is_long {
            if let Some(open) = self.open.take() {
                self.push(open, sink);
            }
            self.machine.join(later.machine, sink);
            self.open = later.open;
        } else if let Some(item) = later.open {
            self.add(item, sink);
        }
    }

    /// Tell what is still open, nothing being before it or behind it.
    pub(super) fn finish(self, sink: &mut impl Sink) {
        let mut whole = match self.is_whole {
            true => self,
            false => {
                let mut whole = Self::whole();
                whole.join(self, sink);
                whole
            }
        };
        if let Some(open) = whole.open.take() {
            whole.push(open, sink);
        }
        whole.machine.finish(sink);
    }

    /// What to do with all shapes that are kept.
    pub(super) fn map(&mut self, map: &impl Fn(u32) -> u32) {
        for item in self.head.iter_mut().chain(&mut self.open) {
            item.shape = map(item.shape);
        }
        self.machine.map(map);
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    head: Vec<Item>,
    is_whole: bool,
    /// None if it follows from the head.
    machine: Option<SavedMachine>,
    open: Option<Item>,
    gap: Gap,
    requests: Option<(u64, u64)>,
}

impl From<Connection> for Saved {
    fn from(from: Connection) -> Self {
        let has_more = from.is_whole || from.head.len() >= HEAD;
        Self {
            head: from.head,
            is_whole: from.is_whole,
            machine: has_more.then(|| (&from.machine).into()),
            open: from.open,
            gap: from.gap,
            requests: from.requests,
        }
    }
}

impl From<Saved> for Connection {
    fn from(mut saved: Saved) -> Self {
        saved.head.truncate(HEAD);
        let machine = match saved.machine {
            Some(machine) => machine.into(),
            None => {
                let mut machine = Machine::default();
                for item in &saved.head {
                    machine.push(*item, None::<&mut Nowhere>);
                }
                machine
            }
        };
        Self {
            head: saved.head,
            is_whole: saved.is_whole,
            machine,
            open: saved.open,
            gap: saved.gap,
            requests: saved.requests,
        }
    }
}
