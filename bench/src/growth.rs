//! Feedback growth: by how many users what happens changes their number. Pure; the engine keeps
//! them between none and the most, in all shards together.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_adds_and_retires() {
        let growth = Growth::new(3, &[(0, 1), (2, -2), (9, 5)], -1, 10);
        let check =
            |event, expected| assert_eq!(growth.wanted_change(event), expected, "{event:?}");
        let score = |tag, count| GrowthEvent::Score { tag, count };
        check(score(0, 1), 1);
        check(score(0, 7), 7);
        check(score(1, 7), 0);
        check(score(2, 3), -6);
        check(score(9, 1), 0);
        check(GrowthEvent::Errors(4), -4);
        check(score(0, u64::MAX), i64::MAX);
        check(GrowthEvent::Errors(0), 0);
    }
}
