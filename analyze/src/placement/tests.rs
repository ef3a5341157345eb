use proptest::prelude::*;

use super::model::bits;
use super::*;

fn node(name: &str, cores: f64, memory_mb: f64) -> Node {
    Node {
        name: name.to_owned(),
        cores,
        memory_mb,
        ..Node::default()
    }
}

fn service(name: &str, demand_ms: f64, memory_mb: f64) -> Service {
    Service {
        name: name.to_owned(),
        demand_ms,
        memory_mb,
        ..Service::default()
    }
}

/// Three unequal servers and five services, one of which has a single thread. From what was seen:
/// the database takes 30% of s2's memory and saturates its CPU; with everything else on s2 instead,
/// that is saturated while the database uses 80% of s3.
fn journey() -> Plan {
    let mut envoy = service("envoy", 2.3, 60.0);
    envoy.threads_max = 1.0;
    Plan {
        nodes: vec![
            node("s1", 2.0, 1024.0),
            node("s2", 2.0, 2048.0),
            node("s3", 4.0, 1024.0),
        ],
        services: vec![
            envoy,
            service("nginx", 0.35, 30.0),
            service("api", 0.5, 150.0),
            service("web", 3.1, 500.0),
            service("mysql", 10.0, 630.0),
        ],
        calls: [
            (None, 0),
            (Some(0), 1),
            (Some(0), 2),
            (Some(0), 3),
            (Some(2), 4),
            (Some(3), 4),
        ]
        .into_iter()
        .map(|(from, to)| Call {
            from,
            to,
            per_request: 1.0,
        })
        .collect(),
        ..Plan::default()
    }
}

fn at(plan: &Plan, text: &str) -> Prediction {
    predict(plan, &plan.read_assignment(text).unwrap())
}

#[test]
fn the_journey_of_four_stages_ends_where_one_run_would_have_begun() {
    let plan = journey();
    let first = at(&plan, "envoy=s1 nginx=s1 api=s1 web=s1 mysql=s1");
    assert!(!first.is_feasible());
    assert!(
        first.impossible[0].contains("s1 has 1024 MB of memory"),
        "{first:?}"
    );
    assert_eq!(first.bottleneck, Bottleneck::Node(0));

    let second = at(&plan, "envoy=s3 nginx=s3 api=s3 web=s3 mysql=s2");
    assert!(second.is_feasible(), "{:?}", second.impossible);
    assert_eq!(second.bottleneck, Bottleneck::Node(1));
    assert!((second.memory_mb[1] / 2048.0 - 0.3).abs() < 0.02);

    let third = at(&plan, "envoy=s2 nginx=s2 api=s2 web=s2 mysql=s3");
    assert_eq!(third.bottleneck, Bottleneck::Node(1));
    assert!((third.utilisation[2] - 0.8).abs() < 0.01, "{third:?}");

    let fourth = at(&plan, "envoy=s1 nginx=s1 api=s1 web=s2 mysql=s3");
    assert_eq!(fourth.bottleneck, Bottleneck::Node(2));
    assert!(fourth.rps > third.rps && third.rps > second.rps);

    let ranking = rank(&plan, 5);
    assert!(ranking.is_proven);
    assert_eq!(ranking.placements[0].placement, fourth.placement);
    assert_eq!(ranking.placements[0].rps, fourth.rps);
}

#[test]
fn what_was_measured_on_three_small_hosts_is_predicted() {
    // Demands from the first row alone; in it one host of 0.15 cores did 20.95 requests a second.
    let nodes = vec![
        node("s1", 0.15, 9e9),
        node("s2", 0.15, 9e9),
        node("s3", 0.30, 9e9),
    ];
    let total = 150.0 / 20.95;
    let db = 150.0 / 43.5;
    let rest = total - db;
    let plan = Plan {
        nodes,
        services: vec![service("rest", rest, 1.0), service("db", db, 1.0)],
        ..Plan::default()
    };
    let check = |text: &str, expected: f64| {
        let rps = at(&plan, text).rps;
        assert!((rps / expected - 1.0).abs() < 0.02, "{text}: {rps}");
    };
    check("rest=s1 db=s1", 20.95);
    check("rest=s3 db=s2", 43.5);
    check("rest=s2 db=s3", 40.6);
    check("rest=s3 db=s1", 43.5);
}

#[test]
fn a_replicated_service_gets_the_weights_that_give_most() {
    let mut web = service("web", 4.0, 10.0);
    web.max_replicas = 2;
    let plan = Plan {
        nodes: vec![node("s1", 1.0, 100.0), node("s2", 2.0, 100.0)],
        services: vec![web, service("db", 1.0, 10.0)],
        ..Plan::default()
    };
    let best = &rank(&plan, 3).placements[0];
    // All CPU is used: three cores for five milliseconds.
    assert!((best.rps - 600.0).abs() < 0.1, "{best:?}");
    assert!(
        best.utilisation
            .iter()
            .all(|busy| (busy - 1.0).abs() < 1e-3)
    );
    let even = at(&plan, "web=s1,s2 db=s2");
    assert!(even.rps < best.rps);
}

#[test]
fn a_copy_with_nothing_to_do_is_none() {
    let mut web = service("web", 4.0, 10.0);
    (web.max_replicas, web.threads_max) = (3, 1.0);
    let nodes = vec![
        node("s1", 1.0, 100.0),
        node("s2", 1.0, 100.0),
        node("s3", 1.0, 100.0),
    ];
    // The others leave no CPU on s3.
    let mut busy = nodes.clone();
    busy[2].background_cores = 1.0;
    let plan = Plan {
        nodes: busy,
        services: vec![web],
        ..Plan::default()
    };
    let found = rank(&plan, 10).placements;
    let mut sets: Vec<Vec<u32>> = found.iter().map(|it| it.placement.sets()).collect();
    assert!((found[0].rps - 500.0).abs() < 0.1, "{found:?}");
    assert_eq!(sets[0], [0b011], "{found:?}");
    sets.sort();
    let all = sets.len();
    sets.dedup();
    assert_eq!(sets.len(), all, "{found:?}");
}

#[test]
fn a_buffer_pool_takes_the_memory_there_is_and_spares_cpu() {
    let mut db = service("db", 0.0, 100.0);
    db.pool = Some(Pool {
        min_mb: 100.0,
        max_mb: 1000.0,
        curve: vec![(100.0, 20.0), (500.0, 10.0), (1000.0, 10.0)],
    });
    let plan = Plan {
        nodes: vec![node("small", 2.0, 400.0), node("large", 1.5, 2000.0)],
        services: vec![db],
        ..Plan::default()
    };
    let small = at(&plan, "db=small");
    assert_eq!(small.pool_mb[0], 300.0);
    assert!((small.rps - 2000.0 / 15.0).abs() < 1e-6);
    let ranking = rank(&plan, 2);
    // Fewer cores, and still faster, as it need not read from disk.
    assert!(
        (ranking.placements[0].rps - 150.0).abs() < 1e-6,
        "{ranking:?}"
    );
}

#[test]
fn a_node_may_be_lost() {
    let mut web = service("web", 1.0, 10.0);
    web.max_replicas = 3;
    let plan = Plan {
        nodes: vec![
            node("a", 1.0, 100.0),
            node("b", 1.0, 100.0),
            node("c", 1.0, 100.0),
        ],
        services: vec![web],
        survive_node_failure: true,
        ..Plan::default()
    };
    let best = &rank(&plan, 1).placements[0];
    assert!((best.rps - 3000.0).abs() < 1.0);
    assert!((best.worst_failure_rps.unwrap() - 2000.0).abs() < 1.0);
    assert!(!at(&plan, "web=a").is_feasible());
}

#[test]
fn assignments_that_cannot_be_meant_are_refused() {
    let plan = journey();
    let check = |text: &str, why: &str| {
        let error = plan.read_assignment(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    };
    check("web=s1", "on no node");
    check("wbe=s1", "did you mean 'web'");
    check("web=s9", "there is no node");
    check("web", "no assignment");
    check("web=s1:0", "above 0");
    check("web=s1:nan", "above 0");
    check("web=s1,s1", "twice");
    check("web=s1 web=s2", "twice");
}

/// The highest throughput by looking at every placement, and in it at every set of services that may
/// be too much for the nodes that it can use.
fn brute(plan: &Plan) -> f64 {
    let nodes = plan.nodes.len();
    let mut best = 0.0f64;
    let choices: Vec<Vec<u32>> = plan
        .services
        .iter()
        .map(|service| {
            (1..1u32 << nodes)
                .filter(|set| (set.count_ones() as usize) <= service.max_replicas)
                .filter(|set| {
                    service.pinned_to.is_empty()
                        || bits(*set).all(|it| service.pinned_to.contains(&it))
                })
                .collect()
        })
        .collect();
    let mut places = vec![0; choices.len()];
    loop {
        let sets: Vec<u32> = choices
            .iter()
            .zip(&places)
            .map(|(sets, at)| sets[*at])
            .collect();
        if is_allowed(plan, &sets) {
            best = best.max(throughput(plan, &sets));
        }
        let Some(at) = (0..places.len()).find(|at| places[*at] + 1 < choices[*at].len()) else {
            return best;
        };
        places[at] += 1;
        places[..at].fill(0);
    }
}

fn is_allowed(plan: &Plan, sets: &[u32]) -> bool {
    let fits = plan.nodes.iter().enumerate().all(|(node, it)| {
        let here = plan
            .services
            .iter()
            .zip(sets)
            .filter(|(_, set)| **set & (1 << node) != 0);
        here.map(|(service, _)| service.memory_mb).sum::<f64>() <= it.memory_mb
    });
    let rules = plan.services.iter().enumerate().all(|(at, service)| {
        service
            .apart_from
            .iter()
            .all(|other| sets[at] & sets[*other] == 0)
            && service
                .together_with
                .iter()
                .all(|other| sets[at] == sets[*other])
    });
    fits && rules
}

fn throughput(plan: &Plan, sets: &[u32]) -> f64 {
    let mut least = f64::INFINITY;
    for group in 1..1u32 << sets.len() {
        let demand: f64 = bits(group).map(|at| plan.services[at].demand_ms).sum();
        let capacity: f64 = (0..plan.nodes.len())
            .map(|node| {
                let users = bits(group).filter(|at| sets[*at] & (1 << node) != 0);
                let most: f64 = users.map(|at| plan.services[at].threads_max * 1000.0).sum();
                most.min(plan.nodes[node].cores * (1.0 - plan.headroom) * 1000.0)
            })
            .sum();
        if demand > 0.0 {
            least = least.min(capacity / demand);
        }
    }
    least
}

prop_compose! {
    fn plans(most_nodes: usize, most_services: usize)(
        nodes in proptest::collection::vec((1u32..16, 1u32..9), 1..=most_nodes),
        services in proptest::collection::vec(
            (1u32..40, 0u32..5, 1usize..3, proptest::option::weighted(0.3, 1u32..8), any::<u8>(), any::<u8>()),
            1..=most_services,
        ),
        headroom in prop_oneof![Just(0.0), Just(0.25)],
    ) -> Plan {
        let count = nodes.len();
        let total = services.len();
        let mut plan = Plan {
            nodes: nodes.iter().enumerate().map(|(at, (cores, memory))| {
                node(&format!("n{at}"), f64::from(*cores) / 4.0, f64::from(*memory) * 100.0)
            }).collect(),
            headroom,
            ..Plan::default()
        };
        for (at, (demand, memory, replicas, threads, pin, tie)) in services.iter().enumerate() {
            let mut made = service(&format!("s{at}"), f64::from(*demand) / 4.0, f64::from(*memory) * 50.0);
            made.max_replicas = *replicas;
            made.threads_max = threads.map_or(f64::INFINITY, |threads| f64::from(threads) / 4.0);
            if pin % 5 == 0 {
                made.pinned_to = vec![usize::from(*pin) % count];
            }
            plan.services.push(made);
            let other = usize::from(*tie) % total;
            if other < at && tie % 3 == 0 {
                plan.services[at].apart_from.push(other);
                plan.services[other].apart_from.push(at);
            }
        }
        plan
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn the_best_is_what_looking_at_everything_finds(plan in plans(3, 4)) {
        let expected = brute(&plan);
        let ranking = rank(&plan, 3);
        let found = ranking.placements.first().map_or(0.0, |best| best.rps);
        prop_assert!((found - expected).abs() <= 1e-4 * expected, "{found} instead of {expected}");
    }

    #[test]
    fn a_long_search_finds_what_a_short_one_does(plan in plans(3, 4)) {
        let expected = brute(&plan);
        let found = search::highest_of(&plan);
        prop_assert!((found - expected).abs() <= 1e-6 * expected, "{found} instead of {expected}");
    }

    #[test]
    fn no_placement_breaks_a_rule(plan in plans(5, 7)) {
        for found in rank(&plan, 10).placements {
            let sets: Vec<u32> = found.placement.services.iter()
                .map(|homes| homes.iter().fold(0, |set, (node, _)| set | 1 << node)).collect();
            prop_assert!(is_allowed(&plan, &sets));
            prop_assert!(found.is_feasible());
            for (used, node) in found.memory_mb.iter().zip(&plan.nodes) {
                prop_assert!(*used <= node.memory_mb + 1e-6);
            }
            for homes in &found.placement.services {
                let whole: f64 = homes.iter().map(|(_, weight)| weight).sum();
                prop_assert!((whole - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn more_cores_never_lower_the_prediction(plan in plans(4, 6), which in any::<usize>(), more in 1u32..8) {
        let before = rank(&plan, 1).placements.first().map_or(0.0, |best| best.rps);
        let mut larger = plan.clone();
        let at = which % larger.nodes.len();
        larger.nodes[at].cores += f64::from(more) / 4.0;
        let after = rank(&larger, 1).placements.first().map_or(0.0, |best| best.rps);
        prop_assert!(after >= before * (1.0 - 2e-4), "{after} after {before}");
    }

    #[test]
    fn names_and_order_never_change_the_answer(plan in plans(4, 5), turn in 1usize..5) {
        let mut other = plan.clone();
        let (nodes, services) = (plan.nodes.len(), plan.services.len());
        // Everything is renamed and stands elsewhere.
        let node_at = |old: usize| (old + turn) % nodes;
        let service_at = |old: usize| (old + turn) % services;
        for (old, it) in plan.nodes.iter().enumerate() {
            other.nodes[node_at(old)] = Node { name: format!("x{}", 9 - old), ..it.clone() };
        }
        for (old, it) in plan.services.iter().enumerate() {
            other.services[service_at(old)] = Service {
                name: format!("y{}", 9 - old),
                pinned_to: it.pinned_to.iter().map(|node| node_at(*node)).collect(),
                apart_from: it.apart_from.iter().map(|at| service_at(*at)).collect(),
                ..it.clone()
            };
        }
        let (one, two) = (rank(&plan, 1), rank(&other, 1));
        prop_assert_eq!(one.placements.len(), two.placements.len());
        if let (Some(one), Some(two)) = (one.placements.first(), two.placements.first()) {
            prop_assert!((one.rps - two.rps).abs() <= 2e-4 * one.rps);
        }
    }
}
