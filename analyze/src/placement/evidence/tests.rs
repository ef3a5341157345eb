//! Evidence from runs and probes written by hand.

use super::super::read;
use super::*;
use crate::host::{Line, Lost, Memory, Service, Watched};

fn run(requests: u64) -> String {
    let series: Vec<String> = (0..20)
        .map(|second| format!("{{\"second\":{second},\"requests\":{}}}", requests / 20))
        .collect();
    format!(
        "{{\"schema\":\"isukit.run/1\",\"started_unix_us\":1000000000,\"duration_s\":20.0,\
         \"requests\":{requests},\"rps\":{},\"errors\":0,\"series\":[{}]}}",
        requests / 20,
        series.join(",")
    )
}

/// A node that uses so many cores in each second from a time on.
fn probe(node: &str, from_ms: f64, cores: impl Fn(usize) -> f64) -> String {
    let host = Host {
        node: node.to_owned(),
        cores: 2,
        memory_bytes: 1 << 30,
        ..Host::default()
    };
    let mut lines = vec![serde_json::to_string(&Line::Host(host)).unwrap()];
    for second in 0..30 {
        let sample = Sample {
            node: node.to_owned(),
            unix_ms: from_ms + second as f64 * 1e3,
            seconds: 1.0,
            services: vec![Service {
                name: "web".to_owned(),
                cpu_cores: Some(cores(second)),
                rss_bytes: Some((second as u64 + 1) << 20),
                processes: 1,
                ..Service::default()
            }],
            unattributed_cores: Some(0.01),
            ..Sample::default()
        };
        lines.push(serde_json::to_string(&Line::Sample(sample)).unwrap());
    }
    lines.join("\n")
}

fn named(text: &str) -> Named<'_> {
    Named { file: "f", text }
}

#[test]
fn demand_is_cpu_over_requests_within_the_run() {
    let run = run(2000);
    // Before and after the run the service does something else.
    let one = probe("s1", 995_000.0, |second| {
        if (6..=25).contains(&second) { 0.5 } else { 2.0 }
    });
    let two = probe("s2", 995_000.0, |second| {
        if (6..=25).contains(&second) {
            0.25
        } else {
            2.0
        }
    });
    let probes = [named(&one), named(&two)];
    let evidence = Evidence::read(Some(named(&run)), &probes).unwrap();
    let web = &evidence.services[0];
    assert!((web.demand_ms.unwrap() - 7.5).abs() < 1e-9, "{web:?}");
    assert!(web.demand_error.unwrap() < 1e-9);
    assert_eq!(web.memory_mb, Some(26.0));
    assert!((web.p90_cores - 0.75).abs() < 1e-9);
    assert_eq!(evidence.nodes.len(), 2);
    assert_eq!(evidence.nodes[0].memory_mb, 1024.0);
}

#[test]
fn the_error_is_that_of_batches() {
    let run = run(2000);
    let rough = probe(
        "s1",
        1_000_000.0,
        |second| if second % 8 < 4 { 0.4 } else { 0.6 },
    );
    let evidence = of(&run, &rough);
    let error = evidence.services[0].demand_error.unwrap();
    assert!((0.02..0.12).contains(&error), "{error}");
    // The same samples in another order have no batches that differ so much.
    let smooth = probe(
        "s1",
        1_000_000.0,
        |second| if second % 2 == 0 { 0.4 } else { 0.6 },
    );
    let evidence = of(&run, &smooth);
    assert!(evidence.services[0].demand_error.unwrap() < error / 2.0);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let (run, probe) = (run(2000), probe("s1", 995_000.0, |_| 0.5));
    let check = |run: &str, probe: &str, why: &str| {
        let error = Evidence::read(Some(named(run)), &[named(probe)])
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    };
    check("{}", &probe, "f: no report of a run");
    check(
        &run.replace("run/1", "diff/1"),
        &probe,
        "it is isukit.diff/1",
    );
    check(
        &run.replace("\"errors\":0", "\"errors\":2000"),
        &probe,
        "no request succeeded",
    );
    check(&run, "\n\n{\"kind\":\"x\"}", "f:3: no line of a probe");
    check(&run, &probe.replacen("\"host\"", "\"end\"", 1), "f:1");
    check(&run, &format!("{probe}\n{probe}"), "two probes of s1");
    let late = probe.replace("\"unix_ms\":10", "\"unix_ms\":90");
    check(&run, &late, "no sample within the run");
    check(
        &run,
        " \n",
        "f:1: no line of a probe: there is nothing in it",
    );
    let cores = |text: &str| probe.replacen("\"cpu_cores\":0.5", text, 1);
    check(
        &run,
        &cores("\"cpu_cores\":-0.5"),
        "f:2: no line of a probe: `cpu_cores` of web cannot be -0.5",
    );
    check(&run, &cores("\"cpu_cores\":1e308"), "cannot be 1");
    let named_so = |name: &str| probe.replace("\"web\"", name);
    check(&run, &named_so("\"w\\n\""), "is no name of a service");
    check(&run, &probe.replace("\"s1\"", "\"s\\u001b\""), "is no name");
    let web = "{\"name\":\"web\",\"processes\":1}";
    let twice = probe.replacen(
        ":[{\"name\":\"web\"",
        &format!(":[{web},{{\"name\":\"web\""),
        1,
    );
    check(
        &run,
        &twice,
        "f:2: no line of a probe: two services are named web",
    );
}

#[test]
fn what_never_ran_has_no_demand() {
    let idle = probe("s1", 995_000.0, |_| 0.0).replace("\"processes\":1", "\"processes\":0");
    let evidence = of(&run(2000), &idle);
    assert_eq!(evidence.services, []);
    assert_eq!(evidence.absent, ["web"]);
    let plan = "[[service]]\nname = \"web\"\n";
    let error = read("p", plan, &evidence).unwrap_err().to_string();
    assert!(
        error.contains("web was watched and never seen running"),
        "{error}"
    );
}

#[test]
fn a_name_that_was_probed_is_held_to_the_rules_of_a_plan() {
    let odd = probe("s1:80; } server {", 995_000.0, |_| 0.5);
    let evidence = of(&run(2000), &odd);
    let plan = "[[service]]\nname = \"web\"\n";
    let error = read("p", plan, &evidence).unwrap_err().to_string();
    assert!(error.contains("which is no name for a plan"), "{error}");
}

/// The lines of a probe, each changed.
fn changed(probe: &str, change: impl Fn(&mut Line)) -> String {
    let each = |text: &str| {
        let mut line: Line = serde_json::from_str(text).unwrap();
        change(&mut line);
        serde_json::to_string(&line).unwrap()
    };
    probe.lines().map(each).collect::<Vec<_>>().join("\n")
}

fn with_host(probe: &str, change: impl Fn(&mut Host)) -> String {
    changed(probe, |line| {
        if let Line::Host(host) = line {
            change(host);
        }
    })
}

fn with_samples(probe: &str, change: impl Fn(&mut Sample)) -> String {
    changed(probe, |line| {
        if let Line::Sample(sample) = line {
            change(sample);
        }
    })
}

/// The evidence of a run and one probe.
fn of(run: &str, probe: &str) -> Evidence {
    Evidence::read(Some(named(run)), &[named(probe)]).unwrap()
}

#[test]
fn of_several_measured_phases_the_first_counts() {
    let phases = "\"phases\":[{\"name\":\"prepare\",\"counts\":false,\"duration_s\":3.0},\
        {\"name\":\"calm\",\"counts\":true,\"duration_s\":10.0},\
        {\"name\":\"storm\",\"counts\":true,\"duration_s\":10.0}],\"series\"";
    let run = run(2000).replace("\"series\"", phases);
    // When the second phase began, a report does not tell: what it used must not count.
    let probe = probe(
        "s1",
        995_000.0,
        |second| if second <= 15 { 0.5 } else { 2.0 },
    );
    let evidence = of(&run, &probe);
    let demand = evidence.services[0].demand_ms.unwrap();
    assert!((demand - 5.0).abs() < 1e-9, "{demand}");
    assert!(
        evidence.notes[0].contains("those of the first, calm"),
        "{:?}",
        evidence.notes
    );
}

#[test]
fn failed_checks_beside_requests_that_succeeded_are_a_note() {
    let run = run(2000).replace("\"errors\":0", "\"errors\":2400");
    let probe = probe("s1", 995_000.0, |_| 0.5);
    let evidence = of(&run, &probe);
    assert!(
        evidence.notes[0].contains("2400 errors in 2000 requests"),
        "{:?}",
        evidence.notes
    );
}

#[test]
fn what_could_not_be_read_is_not_zero() {
    let (run, whole) = (run(2000), probe("s1", 995_000.0, |_| 0.5));
    let without = |from: f64, to: f64| {
        with_samples(&whole, |sample| {
            if (from..to).contains(&sample.unix_ms) {
                sample.services[0].cpu_cores = None;
            }
        })
    };
    let some = without(1_002_500.0, 1_004_500.0);
    let evidence = of(&run, &some);
    let demand = evidence.services[0].demand_ms.unwrap();
    assert!((demand - 5.0).abs() < 1e-9, "{demand}");
    assert!(
        evidence.notes[0].contains("missing in 2 of 20 samples"),
        "{:?}",
        evidence.notes
    );

    let plan = "[[service]]\nname = \"web\"\n";
    let check = |probe: &str, why: &str| {
        let evidence = of(&run, probe);
        let error = read("p", plan, &evidence).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    check(&without(0.0, 1e12), "has no `demand_ms`");
    check(
        &with_samples(&whole, |sample| {
            sample.services[0].rss_bytes = None;
        }),
        "has no `memory_mb`",
    );
    check(
        &with_host(&whole, |host| {
            host.memory_bytes = 0;
        }),
        "could not read its cores or its memory",
    );
    let idle = run.replace("\"requests\":100}", "\"requests\":0}");
    let evidence = of(&idle, &whole);
    assert_eq!(evidence.services[0].demand_ms, None);
}

#[test]
fn what_others_use_is_not_there_for_the_services_of_a_plan() {
    let probe = with_samples(&probe("s1", 995_000.0, |_| 0.5), |sample| {
        sample.memory = Some(Memory {
            total_bytes: 1 << 30,
            available_bytes: 700 << 20,
            ..Memory::default()
        });
    });
    let evidence = of(&run(2000), &probe);
    let node = |plan: &str| {
        let plan = read("p", plan, &evidence).unwrap();
        (
            plan.nodes[0].background_cores,
            plan.nodes[0].memory_mb,
            evidence.notes_for(&plan),
        )
    };
    // The samples of the run have 7 to 26 MB of web, 324 are taken of 1024.
    let (cores, memory, notes) = node("[[service]]\nname = \"web\"\n");
    assert!(
        (cores - 0.01).abs() < 1e-9 && (memory - 716.5).abs() < 1e-9,
        "{cores} {memory}"
    );
    assert!(notes[0].contains("308 of 1024 MB"), "{notes:?}");
    let (cores, memory, notes) = node("[[service]]\nname = \"db\"\ndemand_ms = 1\nmemory_mb = 1\n");
    assert!(
        (cores - 0.51).abs() < 1e-9 && (memory - 690.5).abs() < 1e-9,
        "{cores} {memory}"
    );
    assert!(notes[0].contains("not there for the others"), "{notes:?}");
    let (cores, memory, notes) = node(
        "[[node]]\nname = \"s1\"\nbackground_cores = 0\nmemory_mb = 2048\n[[service]]\nname = \"web\"\n",
    );
    assert_eq!((cores, memory), (0.0, 2048.0));
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn a_pool_is_taken_off_as_large_as_it_was() {
    let of_pool = |bytes: Option<u64>| {
        with_host(&probe("s1", 995_000.0, |_| 0.5), |host| {
            host.services = vec![Watched {
                name: "web".to_owned(),
                buffer_pool_bytes: bytes,
                ..Watched::default()
            }];
        })
    };
    let plan = "[[service]]\nname = \"web\"\npool = { min_mb = 4, max_mb = 64, curve = [[8, 9.0], [64, 5.0]] }\n";
    let probe = of_pool(Some(8 << 20));
    let evidence = of(&run(2000), &probe);
    let found = read("p", plan, &evidence).unwrap();
    assert_eq!(found.services[0].memory_mb, 18.0);
    assert_eq!(found.services[0].demand_error, None);
    let notes = evidence.notes_for(&found);
    assert!(
        notes[0].contains("took 5.00 ms of CPU a request with a pool of 8 MB"),
        "{notes:?}"
    );
    assert!(notes[0].contains("9.00"), "{notes:?}");
    let probe = of_pool(None);
    let evidence = of(&run(2000), &probe);
    let error = read("p", plan, &evidence).unwrap_err().to_string();
    assert!(error.contains("write that as `memory_mb`"), "{error}");
    let both = plan.replace("pool =", "demand_ms = 3\npool =");
    let error = read("p", &both, &evidence).unwrap_err().to_string();
    assert!(error.contains("leave one of them out"), "{error}");
}

#[test]
fn a_node_that_was_lost_is_missed() {
    let lost = Line::Lost(Lost {
        node: "s3".to_owned(),
        why: "no route\u{1b}".to_owned(),
    });
    let lost = serde_json::to_string(&lost).unwrap();
    let probe = format!("{}\n{lost}", probe("s1", 995_000.0, |_| 0.5));
    let evidence = of(&run(2000), &probe);
    assert!(
        evidence.notes[0].starts_with("s3 was lost (no route\\u{1b})"),
        "{:?}",
        evidence.notes
    );
}

mod any {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever the files hold, they are read or refused, and figures stay figures.
        #[test]
        fn any_files_are_survived(
            changes in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<bool>()), 1..8),
            cut in proptest::option::weighted(0.3, any::<u16>()),
        ) {
            let (mut run, mut probe) = (run(2000).into_bytes(), probe("s1", 995_000.0, |_| 0.5).into_bytes());
            for (at, byte, in_run) in changes {
                let text = if in_run { &mut run } else { &mut probe };
                let at = usize::from(at) % text.len();
                text[at] = byte;
            }
            if let Some(cut) = cut {
                probe.truncate(usize::from(cut) % probe.len());
            }
            let (run, probe) = (String::from_utf8_lossy(&run), String::from_utf8_lossy(&probe));
            if let Ok(evidence) = Evidence::read(Some(named(&run)), &[named(&probe)]) {
                for service in &evidence.services {
                    prop_assert!(service.demand_ms.is_none_or(f64::is_finite), "{service:?}");
                    prop_assert!(service.memory_mb.is_none_or(f64::is_finite) && service.p90_cores.is_finite());
                }
            }
        }
    }
}
