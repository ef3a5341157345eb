// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Statements a request: route, shape, how many.
const TRUTH: &[(u32, u32, u32)] = &[
    (0, 0, 1),
    (0, 1, 1),
    (1, 0, 1),
    (1, 2, 20),
    (2, 3, 3),
    (2, 0, 1),
    (3, 4, 1),
    (4, 5, 7),
    (4, 1, 2),
    (5, 0, 1),
];

fn truth(route: u32, shape: u32) -> f64 {
    let all = TRUTH.iter().filter(|it| it.0 == route && it.1 == shape);
    all.map(|it| f64::from(it.2)).sum()
}

/// A uniform number from 0 to 1.
fn uniform(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1u64 << 53) as f64
}

/// A minute of requests that come on their own, `rate` a second of each route.
fn independent(rate: f64, seconds: i64) -> Bins {
    let mut bins = Bins::default();
    let mut random = Random(7);
    for route in 0..6u32 {
        let mut at = 0.0;
        let rate = rate * f64::from(route % 3 + 1);
        loop {
            at -= uniform(&mut random).ln() / rate * 1e6;
            if at > seconds as f64 * 1e6 {
                break;
            }
            request(&mut bins, at as i64, route, &mut random);
        }
    }
    bins
}

/// A request of some milliseconds, with the statements that it causes.
fn request(bins: &mut Bins, at: i64, route: u32, random: &mut Random) {
    let took = 2_000.0 + 8_000.0 * uniform(random);
    for (_, shape, count) in TRUTH.iter().filter(|it| it.0 == route) {
        for _ in 0..*count {
            bins.statement(at + (took * uniform(random)) as i64, *shape);
        }
    }
    bins.route(at + took as i64, route);
}

#[test]
fn independent_requests_are_told_apart() {
    let found = causes(&independent(20.0, 60), &RequestIds::default());
    for (route, shape, count) in TRUTH {
        let it = found
            .iter()
            .find(|it| it.route == *route && it.shape == *shape);
        let it = it.unwrap_or_else(|| panic!("{route} {shape} is not found: {found:#?}"));
        let error = (it.per_request / f64::from(*count) - 1.0).abs();
        assert!(error < 0.05, "{it:?}");
        assert!(it.confidence > 0.5, "{it:?}");
    }
    for it in &found {
        assert!(
            truth(it.route, it.shape) > 0.0 || it.confidence < 0.3,
            "{it:?}"
        );
    }
}

#[test]
fn requests_that_come_together_are_not() {
    // Sessions ask for the same routes in the same order, and times are whole seconds.
    let mut bins = Bins::default();
    let mut random = Random(9);
    let mut exact = Bins::default();
    for _ in 0..600 {
        let mut at = (uniform(&mut random) * 60e6) as i64;
        for route in [0, 1, 2, 3, 4, 5] {
            request(&mut exact, at, route, &mut random);
            at += 20_000;
        }
    }
    for (from, to) in [
        (&exact.routes, &mut bins.routes),
        (&exact.shapes, &mut bins.shapes),
    ] {
        for (at, counts) in from.bins(bins::SECOND) {
            for (number, count) in counts {
                (0..count).for_each(|_| to.add_for_test(at, number));
            }
        }
    }
    let found = causes(&bins, &RequestIds::default());
    for it in &found {
        let wrong = (it.per_request - truth(it.route, it.shape)).abs() / it.per_request;
        assert!(wrong < 0.15 || it.confidence < 0.5, "{it:?}");
    }
}

#[test]
fn little_data_say_little() {
    let found = causes(&independent(3.0, 2), &RequestIds::default());
    for it in &found {
        let wrong = (it.per_request - truth(it.route, it.shape)).abs() / it.per_request;
        assert!(wrong < 0.2 || it.confidence < 0.6, "{it:?}");
    }
    assert_eq!(causes(&Bins::default(), &RequestIds::default()), []);
    assert_eq!(causes(&independent(1.0, 0), &RequestIds::default()), []);
}

#[test]
fn ids_are_exact() {
    let mut ids = RequestIds::default();
    for id in 1..=100u64 {
        let route = (id % 2) as u32;
        ids.statement(id, 7);
        if route == 1 {
            (0..id % 10).for_each(|_| ids.statement(id, 8));
        }
        ids.route(id, route);
    }
    ids.statement(1_000, 9);
    let found = causes(&Bins::default(), &ids);
    let told: Vec<_> = found
        .iter()
        .map(|it| (it.route, it.shape, it.per_request, it.share_of_shape))
        .collect();
    assert_eq!(told, [(0, 7, 1.0, 0.5), (1, 8, 5.0, 1.0), (1, 7, 1.0, 0.5)]);
    assert!(
        found
            .iter()
            .all(|it| it.confidence > 0.95 && it.source == Source::RequestId)
    );
    assert!(found[1].low < 5.0 && found[1].high > 5.0 && found[0].low == 1.0);
}

#[test]
fn many_ids_are_a_sample() {
    let mut ids = RequestIds::default();
    for id in 1..=100_000u64 {
        ids.route(id, (id % 3) as u32);
        ids.statement(id, 1);
    }
    let known = ids.known().count();
    assert!(
        (limits::REQUESTS / 3..=limits::REQUESTS).contains(&known),
        "{known}"
    );
    assert!(
        causes(&Bins::default(), &ids)
            .iter()
            .all(|it| it.per_request == 1.0)
    );
}

#[test]
fn bins_get_wider() {
    let mut bins = Bins::default();
    for second in 0..100_000i64 {
        bins.route(second * 1_000_000 + 5, 1);
    }
    assert!(bins.routes.bins(1).len() <= limits::BINS);
    let total: u64 = bins
        .routes
        .bins(1)
        .values()
        .flatten()
        .map(|it| u64::from(it.1))
        .sum();
    assert_eq!(total, 100_000);
    // What has no time, and numbers beyond the limit.
    bins.route(crate::digest::UNKNOWN_AT, 1);
    bins.route(0, u32::MAX);
    bins.route(i64::MAX, 1);
    bins.route(i64::MIN + 1, 1);
    assert!(bins.routes.bins(1).len() <= limits::BINS);
}

/// The least value over all choices of columns that are not 0.
fn brute_force(gram: &[f64], c: &[f64]) -> f64 {
    let n = c.len();
    let mut best = 0.0f64;
    for set in 1u32..1 << n {
        let chosen: Vec<usize> = (0..n).filter(|j| set & (1 << j) != 0).collect();
        // Gauss without pivots: the matrices are positive.
        let k = chosen.len();
        let mut m: Vec<Vec<f64>> = chosen
            .iter()
            .map(|j| {
                let row = chosen.iter().map(|i| gram[j * n + i]);
                row.chain([c[*j]]).collect()
            })
            .collect();
        for pivot in 0..k {
            for row in 0..k {
                if row != pivot && m[pivot][pivot].abs() > 1e-12 {
                    let factor = m[row][pivot] / m[pivot][pivot];
                    let from = m[pivot].clone();
                    for (value, from) in m[row].iter_mut().zip(from) {
                        *value -= factor * from;
                    }
                }
            }
        }
        let x: Vec<f64> = (0..k).map(|row| m[row][k] / m[row][row]).collect();
        if x.iter().all(|it| it.is_finite() && *it >= 0.0) {
            let mut whole = vec![0.0; n];
            chosen
                .iter()
                .zip(x)
                .for_each(|(j, value)| whole[*j] = value);
            best = best.min(value(gram, c, &whole));
        }
    }
    best
}

fn value(gram: &[f64], c: &[f64], x: &[f64]) -> f64 {
    let n = c.len();
    let quadratic: f64 = (0..n * n).map(|at| x[at / n] * gram[at] * x[at % n]).sum();
    quadratic / 2.0 - c.iter().zip(x).map(|(c, x)| c * x).sum::<f64>()
}

proptest! {
    // Each solves whole logs.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn least_squares_are_least(
        rows in prop::collection::vec(prop::collection::vec(0u32..20, 4), 5..12),
        seen in prop::collection::vec(0u32..50, 12),
    ) {
        let n = 4;
        let mut gram = vec![0.0; n * n];
        let mut c = vec![0.0; n];
        for (row, seen) in rows.iter().zip(&seen) {
            for j in 0..n {
                c[j] += f64::from(row[j] * seen);
                for k in 0..n {
                    gram[j * n + k] += f64::from(row[j] * row[k]);
                }
            }
        }
        let x = nnls::nnls(&gram, &c);
        prop_assert!(x.iter().all(|it| it.is_finite() && *it >= 0.0));
        let (own, best) = (value(&gram, &c, &x), brute_force(&gram, &c));
        prop_assert!(own <= best + 1e-5 * (1.0 + best.abs()), "{own} {best} {x:?}");
    }

    #[test]
    fn odd_equations_do_no_harm(
        gram in prop::collection::vec(prop_oneof![Just(0.0), -1e9..1e9f64], 16),
        c in prop::collection::vec(-1e9..1e9f64, 4),
    ) {
        nnls::nnls(&gram, &c);
        nnls::nnls(&[1.0; 16], &c);
        nnls::nnls(&[], &c);
    }

    #[test]
    fn parts_make_the_whole(
        events in prop::collection::vec((0i64..3_000_000_000, 0u32..5, 1u64..50, any::<bool>()), 0..3_000),
        cut in 0usize..3_000,
    ) {
        let cut = cut.min(events.len());
        let read = |events: &[(i64, u32, u64, bool)], shift: u32| {
            let (mut bins, mut ids) = (Bins::default(), RequestIds::default());
            for (at, number, id, is_route) in events {
                if *is_route {
                    bins.route(*at, number + shift);
                    ids.route(*id, number + shift);
                } else {
                    bins.statement(*at, number + shift);
                    ids.statement(*id, number + shift);
                }
            }
            (bins, ids)
        };
        let json = |it: &(Bins, RequestIds)| serde_json::to_string(it).unwrap();
        let whole = read(&events, 0);
        let mut parts = read(&events[..cut], 0);
        let later = read(&events[cut..], 10);
        parts.0.merge(&later.0, |it| it - 10, |it| it - 10);
        parts.1.merge(&later.1, |it| it - 10, |it| it - 10);
        prop_assert_eq!(json(&parts), json(&whole));
        let loaded: (Bins, RequestIds) = serde_json::from_str(&json(&whole)).unwrap();
        prop_assert_eq!(json(&loaded), json(&whole));
        prop_assert_eq!(causes(&loaded.0, &loaded.1), causes(&whole.0, &whole.1));
    }
}
