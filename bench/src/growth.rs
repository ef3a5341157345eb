//! Feedback growth: how many users there should be after what happened. Pure.

/// By how much what happens changes the number of users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Growth {
    /// Users added for each score, by tag index; missing ones change nothing.
    pub on_score: Vec<i64>,
    /// Users added (negative: retired) for each error.
    pub on_error: i64,
    /// Never more users than this.
    pub at_most: usize,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowthEvent {
    /// A tag was scored, once or as often as another shard tells.
    Score {
        /// The tag's index.
        tag: usize,
        /// How often.
        count: u64,
    },
    /// So many failures.
    Errors(u64),
}

impl Growth {
    /// Changes for `tags` tags, of which a few change something; see
    /// [`KindLoad::Feedback`](crate::scenario::model::KindLoad::Feedback).
    pub fn new(tags: usize, on_score: &[(usize, i64)], on_error: i64, at_most: usize) -> Self {
        let mut by_tag = vec![0; tags];
        for (tag, change) in on_score {
            if let Some(slot) = by_tag.get_mut(*tag) {
                *slot = *change;
            }
        }
        Self {
            on_score: by_tag,
            on_error,
            at_most,
        }
    }

    /// The same for shard `shard` of `shards` on its own: its share of the users.
    #[must_use]
    pub fn share(&self, shard: usize, shards: usize) -> Self {
        let shards = shards.max(1);
        Self {
            at_most: self.at_most / shards + usize::from(shard < self.at_most % shards),
            ..self.clone()
        }
    }

    /// By how many users an event would change their number.
    pub fn wanted_change(&self, event: GrowthEvent) -> i64 {
        let (each, count) = match event {
            GrowthEvent::Score { tag, count } => {
                (self.on_score.get(tag).copied().unwrap_or(0), count)
            }
            GrowthEvent::Errors(count) => (self.on_error, count),
        };
        each.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// The number of users after a change: never below 0, never above `at_most`.
pub fn apply(current: usize, change: i64, at_most: usize) -> usize {
    let size = usize::try_from(change.unsigned_abs()).unwrap_or(usize::MAX);
    let wanted = if change < 0 {
        current.saturating_sub(size)
    } else {
        current.saturating_add(size)
    };
    wanted.min(at_most)
}

/// How many users of one kind there should be, in a shard or in a whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    growth: Growth,
    users: usize,
    full: bool,
}

impl Wanted {
    /// Begin with `users` users, but no more than there may be.
    pub fn new(growth: Growth, users: usize) -> Self {
        Self {
            users: users.min(growth.at_most),
            growth,
            full: false,
        }
    }

    /// How many users there should be.
    pub fn users(&self) -> usize {
        self.users
    }

    /// Something happened: how many users there should be now.
    pub fn on(&mut self, event: GrowthEvent) -> usize {
        let change = self.growth.wanted_change(event);
        if change < 0 || !self.full {
            self.users = apply(self.users, change, self.growth.at_most);
        }
        self.users
    }

    /// The `until` signal was given: none are added from now on, but users may still be retired.
    pub fn fill(&mut self) {
        self.full = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GrowthEvent::Errors;

    fn score(tag: usize) -> GrowthEvent {
        scores(tag, 1)
    }

    fn scores(tag: usize, count: u64) -> GrowthEvent {
        GrowthEvent::Score { tag, count }
    }

    #[test]
    fn users_follow_what_happens() {
        // Tag 0 adds one, tag 1 three, tag 2 retires two, an error one; at most five.
        #[track_caller]
        fn check(users: usize, events: &[GrowthEvent], expected: usize) {
            let growth = Growth::new(3, &[(0, 1), (1, 3), (2, -2)], -1, 5);
            let mut wanted = Wanted::new(growth, users);
            for event in events {
                wanted.on(*event);
            }
            assert_eq!(wanted.users(), expected, "{events:?}");
        }
        check(0, &[], 0);
        check(0, &[score(0)], 1);
        check(0, &[score(0), score(0), score(1)], 5);
        check(2, &[Errors(1)], 1);
        check(0, &[Errors(1), Errors(1)], 0);
        check(0, &[Errors(1), Errors(1), score(0)], 1);
        check(4, &[score(0), score(0), score(0)], 5);
        check(4, &[score(1), Errors(1)], 4);
        check(3, &[score(2)], 1);
        check(1, &[score(2)], 0);
        check(1, &[score(9)], 1);
        check(9, &[], 5);
        check(0, &[scores(0, 4)], 4);
        check(5, &[Errors(2)], 3);
        check(5, &[Errors(u64::MAX)], 0);
        check(0, &[scores(1, u64::MAX)], 5);
    }

    #[test]
    fn nobody_is_added_after_the_signal() {
        #[track_caller]
        fn check(event: GrowthEvent, expected: usize) {
            let mut wanted = Wanted::new(Growth::new(2, &[(0, 1), (1, -1)], -1, 9), 4);
            wanted.fill();
            assert_eq!(wanted.on(event), expected, "{event:?}");
        }
        check(score(0), 4);
        check(score(1), 3);
        check(Errors(1), 3);
        check(Errors(9), 0);
    }

    #[test]
    fn changes_stay_in_bounds() {
        #[track_caller]
        fn check(current: usize, change: i64, at_most: usize, expected: usize) {
            assert_eq!(apply(current, change, at_most), expected);
        }
        check(0, 1, 10, 1);
        check(0, -1, 10, 0);
        check(10, 1, 10, 10);
        check(3, 0, 10, 3);
        check(3, i64::MAX, 10, 10);
        check(3, i64::MIN, 10, 0);
        check(12, 0, 10, 10);
        check(usize::MAX, i64::MAX, usize::MAX, usize::MAX);
    }

    #[test]
    fn shares_add_up() {
        let growth = Growth::new(1, &[(0, 1)], -1, 500);
        for shards in 1..8 {
            let sum: usize = (0..shards).map(|k| growth.share(k, shards).at_most).sum();
            assert_eq!(sum, 500);
        }
    }
}
