//! Closed numbers of users that change linearly between points.

use std::time::Duration;

use super::nanos;

/// How many users there are at a time: linear between points, whole users only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    /// Times in nanoseconds, not decreasing, the first at 0. Of several at one time the last counts.
    points: Vec<(u64, usize)>,
}

impl Ramp {
    /// From `from` users, over each duration to so many users; the last number stays. A duration of
    /// 0 is a jump.
    pub fn new(from: usize, points: &[(Duration, usize)]) -> Self {
        let mut time = 0_u64;
        let mut all = vec![(0, from)];
        for (over, users) in points {
            time = time.saturating_add(nanos(*over));
            all.push((time, *users));
        }
        Self { points: all }
    }

    /// The index of the last point that is not after `ns`.
    fn point(&self, ns: u64) -> usize {
        // The first is at 0.
        self.points.partition_point(|(at, _)| *at <= ns) - 1
    }

    /// Users at `ns` nanoseconds from the start. A user is added when it is whole, and retired
    /// when a whole one is too many.
    pub fn users_at(&self, ns: u64) -> usize {
        let index = self.point(ns);
        let (start, from) = self.points[index];
        let Some(&(end, to)) = self.points.get(index + 1) else {
            return from;
        };
        let steps = from.abs_diff(to) as u128;
        let done = (steps * u128::from(ns - start) / u128::from(end - start)) as usize;
        if to > from { from + done } else { from - done }
    }

    /// When the number of users next changes after `ns`; `None` when it stays.
    pub fn next_change_after(&self, ns: u64) -> Option<u64> {
        let now = self.users_at(ns);
        let mut since = ns;
        for index in self.point(ns)..self.points.len() {
            let (start, from) = self.points[index];
            let &(end, to) = self.points.get(index + 1)?;
            if end <= since {
                continue;
            }
            let steps = from.abs_diff(to) as u128;
            let length = u128::from(end - start);
            let done = steps * u128::from(since - start) / length;
            let next = if done < steps {
                ((done + 1) * length).div_ceil(steps) as u64 + start
            } else {
                end
            };
            // A jump at the end of a stretch may lead back to where we are.
            if self.users_at(next) != now {
                return Some(next);
            }
            since = end;
        }
        None
    }

    /// The most users there are at any time.
    pub fn most(&self) -> usize {
        self.points
            .iter()
            .map(|(_, users)| *users)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(from: usize, points: &[(u64, usize)]) -> Ramp {
        let points: Vec<_> = points
            .iter()
            .map(|(over, users)| (Duration::from_nanos(*over), *users))
            .collect();
        Ramp::new(from, &points)
    }

    #[test]
    fn users_are_whole() {
        #[track_caller]
        fn check(from: usize, points: &[(u64, usize)], expected: &[(u64, usize)]) {
            let ramp = ramp(from, points);
            for (ns, users) in expected {
                assert_eq!(ramp.users_at(*ns), *users, "at {ns}");
            }
        }
        check(5, &[], &[(0, 5), (u64::MAX, 5)]);
        check(
            0,
            &[(100, 10)],
            &[(0, 0), (9, 0), (10, 1), (99, 9), (100, 10), (101, 10)],
        );
        check(
            10,
            &[(100, 0)],
            &[(0, 10), (9, 10), (10, 9), (99, 1), (100, 0)],
        );
        check(
            0,
            &[(10, 1), (10, 1), (10, 0)],
            &[(9, 0), (10, 1), (29, 1), (30, 0)],
        );
        // Jumps.
        check(0, &[(0, 10)], &[(0, 10), (1, 10)]);
        check(
            1,
            &[(10, 1), (0, 50), (10, 50)],
            &[(9, 1), (10, 50), (20, 50)],
        );
        check(0, &[(0, 3), (0, 7), (7, 0)], &[(0, 7), (1, 6), (7, 0)]);
    }

    #[test]
    fn changes_are_announced() {
        #[track_caller]
        fn check(from: usize, points: &[(u64, usize)], ns: u64, expected: Option<u64>) {
            assert_eq!(ramp(from, points).next_change_after(ns), expected);
        }
        check(5, &[], 0, None);
        check(0, &[(100, 10)], 0, Some(10));
        check(0, &[(100, 10)], 10, Some(20));
        check(0, &[(100, 10)], 99, Some(100));
        check(0, &[(100, 10)], 100, None);
        check(0, &[(100, 3)], 0, Some(34));
        check(1, &[(10, 1), (0, 50), (10, 50)], 0, Some(10));
        check(1, &[(10, 1), (0, 50), (10, 50)], 10, None);
        check(1, &[(10, 1), (10, 1), (10, 0)], 3, Some(30));
        check(1, &[(10, 2), (0, 1), (10, 2)], 0, Some(20));
    }

    proptest! {
        #[test]
        fn nothing_changes_in_between(
            from in 0_usize..6,
            points in prop::collection::vec((0_u64..12, 0_usize..6), 0..5),
        ) {
            let ramp = ramp(from, &points);
            for ns in 0..80 {
                let next = (ns + 1..200).find(|later| ramp.users_at(*later) != ramp.users_at(ns));
                prop_assert_eq!(ramp.next_change_after(ns), next, "after {}", ns);
                prop_assert!(ramp.users_at(ns) <= ramp.most());
            }
        }
    }
}
