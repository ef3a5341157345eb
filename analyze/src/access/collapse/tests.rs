//! Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use super::apps::{self, Row, mix, scan, value, values};
use super::*;
use crate::access::Namer;

/// Requests of an application: named route, status and true route.
fn requests(app: &[Row], number: u64, scans: u64) -> Vec<(String, u16, String)> {
    let namer = Namer::default();
    let total: u64 = app.iter().map(|row| u64::from(row.0)).sum();
    let mut made = Vec::new();
    let mut push = |method: &str, path: &str, status, truth: &str| {
        let mut name = Vec::new();
        namer.name(method.as_bytes(), path.as_bytes(), b"", &mut name);
        made.push((String::from_utf8(name).unwrap(), status, truth.to_owned()));
    };
    for at in 0..number {
        let mut pick = mix(at, 100) % total;
        let row = app.iter().find(|row| {
            let weight = u64::from(row.0);
            let here = pick < weight;
            pick = pick.saturating_sub(weight);
            here
        });
        let (_, status, template) = row.unwrap();
        let (method, template_path) = template.split_once(' ').unwrap();
        let mut path = template_path.to_owned();
        let mut draw = 101;
        while let Some((front, behind)) = path.split_once('{') {
            let (kind, rest) = behind.split_once('}').unwrap();
            // Squared: the first values come more often.
            let unit = (mix(at, draw) % 10_000) as f64 / 1e4;
            let n = (unit * unit * values(kind) as f64) as u64;
            path = format!("{front}{}{rest}", value(kind, n));
            draw += 1;
        }
        push(method, &path, *status, template);
    }
    for at in 0..scans {
        push("GET", &scan(at), 404, "GET (not found)");
    }
    made
}

fn collapse(requests: &[(String, u16, String)]) -> Collapse {
    let counts = requests.iter().map(|(name, status, _)| {
        let mut counts = RouteCounts::default();
        counts.add(*status);
        (name.as_str(), counts)
    });
    Collapse::learn(counts)
}

/// Pairwise F1: of pairs of requests that were put together, and of those that should have been.
fn f1(requests: &[(String, u16, String)]) -> (f64, Vec<String>) {
    let collapse = collapse(requests);
    let pairs = |n: u64| n as f64 * (n as f64 - 1.0) / 2.0;
    let mut cells: HashMap<(String, &str), u64> = HashMap::new();
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    let mut truths: HashMap<&str, u64> = HashMap::new();
    for (name, _, truth) in requests {
        let group = collapse.apply(name).unwrap_or_else(|| name.clone());
        *cells.entry((group.clone(), truth)).or_default() += 1;
        *groups.entry(group).or_default() += 1;
        *truths.entry(truth).or_default() += 1;
    }
    let together: f64 = cells.values().map(|n| pairs(*n)).sum();
    let precision = together / groups.values().map(|n| pairs(*n)).sum::<f64>();
    let recall = together / truths.values().map(|n| pairs(*n)).sum::<f64>();
    let groups = groups
        .into_iter()
        .map(|(name, count)| format!("{count:6} {name}"))
        .collect();
    (2.0 * precision * recall / (precision + recall), groups)
}

#[test]
fn routes_of_applications_are_found() {
    let apps = [
        ("contest", apps::CONTEST),
        ("image board", apps::IMAGE_BOARD),
        ("shop", apps::SHOP),
        ("code host", apps::CODE_HOST),
        ("magazine", apps::MAGAZINE),
        ("streams", apps::STREAMS),
        ("forum", apps::FORUM),
        ("registry", apps::REGISTRY),
        ("office", apps::OFFICE),
        ("procedures", apps::PROCEDURES),
        ("cluster", apps::CLUSTER),
        ("pages", apps::PAGES),
    ];
    let mut failed = false;
    for (name, app) in apps {
        for (number, scans) in [(20_000, 0), (10_000, 1_000), (2_000, 100)] {
            let (f1, groups) = f1(&requests(app, number, scans));
            println!(
                "{name} {number} {scans}: F1 {f1:.4}, {} groups",
                groups.len()
            );
            if f1 < 0.95 || groups.len() > 3 * app.len() + 20 {
                println!("{}", groups[..groups.len().min(40)].join("\n"));
                failed = true;
            }
        }
    }
    assert!(!failed);
}

#[test]
fn the_order_of_routes_does_not_matter() {
    let made = requests(apps::CODE_HOST, 3_000, 100);
    let forward = collapse(&made);
    let mut reversed = made.clone();
    reversed.reverse();
    let backward = collapse(&reversed);
    for (name, ..) in &made {
        assert_eq!(forward.apply(name), backward.apply(name));
    }
}

#[test]
fn names_that_are_no_paths_stay() {
    let collapse = Collapse::default();
    for name in [
        "(broken request)",
        "OPTIONS *",
        "GET /",
        "login step",
        "GET ^/posts/",
        "",
        "GET /a?b&c",
    ] {
        assert_eq!(collapse.apply(name), None, "{name}");
    }
}

#[test]
fn pages_that_many_ask_for_are_not_slugs() {
    let collapse = collapse(&requests(apps::PAGES, 20_000, 500));
    let check = |route: &str, expected: &str| {
        let seen = collapse.apply(route);
        assert_eq!(seen.as_deref().unwrap_or(route), expected);
    };
    check("GET /newsletter", "GET /newsletter");
    check("GET /about", "GET /about");
    check("GET /a-new-and-unseen-title", "GET /:slug");
    check("GET /author/ann", "GET /author/:name");
}
