use super::*;
use proptest::prelude::*;

#[test]
fn arrivals_are_evenly_spaced() {
    let check = |rate: f64, n: u64, due: Option<u64>| {
        assert_eq!(
            Pacer::constant(rate, 1_000_000_000, 0, 1).due_ns(n),
            due,
            "{rate} {n}"
        );
    };
    check(1_000.0, 0, Some(0));
    check(1_000.0, 999, Some(999_000_000));
    check(1_000.0, 1_000, None);
    check(0.5, 0, Some(0));
    check(0.5, 1, None);
    check(50_000.0, 1, Some(20_000));
}

#[test]
fn shards_together_make_the_whole() {
    for (rate, shards) in [(2_000.0, 1), (2_000.0, 3), (7.3, 4), (1.0, 8)] {
        let whole = Pacer::constant(rate, 6_000_000_000, 0, 1);
        let mut all: Vec<u64> = (0..shards)
            .flat_map(|shard| {
                let part = Pacer::constant(rate, 6_000_000_000, shard, shards);
                (0..part.count()).filter_map(move |n| part.due_ns(n))
            })
            .collect();
        all.sort_unstable();
        let expected: Vec<u64> = (0..whole.count()).filter_map(|n| whole.due_ns(n)).collect();
        assert_eq!(all, expected, "{rate} over {shards}");
    }
}

#[test]
fn numbers_never_repeat() {
    let parts = [0, 1].map(|shard| Pacer::constant(10.0, 1_000_000_000, shard, 2));
    let mut numbers: Vec<u64> = parts
        .iter()
        .flat_map(|part| (0..part.count()).map(|n| part.number(n)))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

#[test]
fn schedules_are_inverses_of_the_integral() {
    let secs = Duration::from_secs_f64;
    let burst = |at, users| ArrivalSpec::Burst {
        at: secs(at),
        users,
    };
    let rate = |from, to: Option<f64>, first, last| ArrivalSpec::Rate {
        from: secs(from),
        to: to.map(secs),
        first,
        last,
    };
    #[track_caller]
    fn check(specs: &[ArrivalSpec], seconds: f64, count: u64, due: &[(u64, f64)]) {
        let schedule = Schedule::new(specs, (seconds * 1e9) as u64);
        assert_eq!(schedule.count(), count, "count");
        assert_eq!(schedule.due_ns(count), None);
        for (n, seconds) in due {
            let found = schedule.due_ns(*n).unwrap() as f64 / 1e9;
            assert!((found - seconds).abs() < 1e-8, "{n}: {found} {seconds}");
        }
    }
    check(&[], 10.0, 0, &[]);
    check(&[burst(0.0, 0)], 10.0, 0, &[]);
    // The contest: 20 at once, 10 a second later, then 10 a second.
    let contest = [burst(0.0, 20), burst(1.0, 10), rate(2.0, None, 10.0, 10.0)];
    let due = [
        (0, 0.0),
        (19, 0.0),
        (20, 1.0),
        (29, 1.0),
        (30, 2.0),
        (31, 2.1),
        (609, 59.9),
    ];
    check(&contest, 60.0, 610, &due);
    // The same in any order of the file.
    let [a, b, c] = contest;
    check(&[c, b, a], 60.0, 610, &due);
    // Cut by the end: what is due there is left out.
    check(&contest, 2.0, 30, &[(29, 1.0)]);
    check(&contest, 1.0, 20, &[(19, 0.0)]);
    // A burst while a rate is running takes the next numbers.
    let mixed = [rate(0.0, None, 2.0, 2.0), burst(1.0, 3)];
    check(
        &mixed,
        2.0,
        7,
        &[(1, 0.5), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0), (6, 1.5)],
    );
    // A ramp: (1 + 10) / 2 x 10 s arrivals; half of a ramp from nothing is a quarter of it.
    check(&[rate(2.0, Some(12.0), 1.0, 10.0)], 60.0, 55, &[(0, 2.0)]);
    check(
        &[rate(0.0, None, 0.0, 10.0)],
        10.0,
        50,
        &[(0, 0.0), (2, 10.0 * 0.2)],
    );
    check(&[rate(0.0, None, 0.0, 8.0)], 10.0, 40, &[(10, 5.0)]);
    check(&[rate(0.0, None, 8.0, 0.0)], 10.0, 40, &[(30, 5.0)]);
    // Up to a `to` behind the end: the slope stays.
    check(&[rate(0.0, Some(10.0), 0.0, 8.0)], 5.0, 10, &[]);
    // Two rates are one rhythm.
    let twice = [
        rate(0.0, None, 10.0, 10.0),
        rate(0.0, Some(1.0), 10.0, 10.0),
    ];
    check(
        &twice,
        2.0,
        30,
        &[(1, 0.05), (19, 0.95), (20, 1.0), (21, 1.1)],
    );
    // Slow ones: six a minute, one an hour.
    check(
        &[rate(0.0, None, 6.0 / 60.0, 6.0 / 60.0)],
        60.0,
        6,
        &[(5, 50.0)],
    );
    check(
        &[rate(0.0, None, 1.0 / 3600.0, 1.0 / 3600.0)],
        60.0,
        1,
        &[(0, 0.0)],
    );
    // Half an arrival is left when the first rate ends; it goes on with the second.
    let halves = [rate(0.0, Some(0.5), 1.0, 1.0), rate(5.0, None, 1.0, 1.0)];
    check(&halves, 7.0, 3, &[(0, 0.0), (1, 5.5), (2, 6.5)]);
    // Nonsense is nothing.
    check(&[rate(0.0, None, f64::NAN, -1.0)], 10.0, 0, &[]);
    check(&[rate(5.0, Some(5.0), 1.0, 1.0)], 10.0, 0, &[]);
    check(&[rate(5.0, Some(2.0), 1.0, 1.0)], 10.0, 0, &[]);
}

/// Any specs in a phase of ten seconds, with times on a grid so that they meet.
fn specs() -> impl Strategy<Value = Vec<ArrivalSpec>> {
    let time = (0_u64..110).prop_map(|tenths| Duration::from_millis(tenths * 100));
    let burst = (time.clone(), 0_u64..20).prop_map(|(at, users)| ArrivalSpec::Burst { at, users });
    let rates = (0_u32..400, 0_u32..400, 1_u32..9);
    let rate = (time.clone(), prop::option::of(time), rates).prop_map(|(from, to, rates)| {
        let (first, last, by) = (rates.0, rates.1, f64::from(rates.2));
        ArrivalSpec::Rate {
            from,
            to: to.map(|to| from + to),
            first: f64::from(first) / by,
            last: f64::from(last) / by,
        }
    });
    prop::collection::vec(prop_oneof![burst, rate], 0..6)
}

/// The integral by adding up small steps.
fn integral(specs: &[ArrivalSpec], end: f64) -> f64 {
    let mut sum = 0.0;
    for spec in specs {
        match *spec {
            ArrivalSpec::Burst { at, users } if at.as_secs_f64() < end => sum += users as f64,
            ArrivalSpec::Burst { .. } => {}
            ArrivalSpec::Rate {
                from,
                to,
                first,
                last,
            } => {
                let (from, to) = (from.as_secs_f64(), to.map_or(end, |to| to.as_secs_f64()));
                let steps = 1000;
                let width = (to.min(end) - from).max(0.0) / f64::from(steps);
                for step in 0..steps {
                    let at = (f64::from(step) + 0.5) * width;
                    sum += width * (first + (last - first) * at / (to - from).max(1e-9));
                }
            }
        }
    }
    sum
}

proptest! {
    #[test]
    fn any_schedule_is_whole(specs in specs(), shards in 1_u64..6) {
        let schedule = Schedule::new(&specs, 10_000_000_000);
        let expected = integral(&specs, 10.0);
        let count = schedule.count() as f64;
        prop_assert!(expected - 1e-3 <= count && count < expected + 1.001, "{} {}", count, expected);

        let whole: Vec<u64> = (0..schedule.count()).filter_map(|n| schedule.due_ns(n)).collect();
        prop_assert_eq!(whole.len() as u64, schedule.count());
        prop_assert!(whole.is_sorted());
        prop_assert!(whole.iter().all(|due| *due < 10_000_000_000));

        let schedule = Arc::new(schedule);
        let mut all = Vec::new();
        for shard in 0..shards {
            let pacer = Pacer::new(schedule.clone(), shard, shards);
            let stepped: Vec<u64> = pacer.arrivals().collect();
            let looked_up: Vec<u64> = (0..pacer.count()).filter_map(|n| pacer.due_ns(n)).collect();
            prop_assert_eq!(&stepped, &looked_up);
            prop_assert_eq!(stepped.len() as u64, pacer.count());
            all.extend(stepped);
        }
        all.sort_unstable();
        prop_assert_eq!(all, whole);
    }
}

#[test]
fn a_day_at_the_highest_rate_stays_in_order() {
    let day = 86_400_000_000_000;
    let schedule = Schedule::new(
        &[ArrivalSpec::Rate {
            from: Duration::ZERO,
            to: None,
            first: 0.0,
            last: 1e8,
        }],
        day,
    );
    assert_eq!(schedule.count(), 4_320_000_000_000);
    let end = schedule.count();
    for start in [0, end / 3, end - 2_000] {
        let due: Vec<_> = (start..start + 2_000).map(|n| schedule.due_ns(n)).collect();
        assert!(due.is_sorted() && due.iter().all(|due| due.is_some_and(|due| due < day)));
    }
}
