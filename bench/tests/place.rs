//! `isukit place` as a person runs it.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use serde_json::Value;

const PLAN: &str = include_str!("../../scenarios/contest/place.toml");

fn place(folder: &Path, plan: &str, arguments: &[&str]) -> Output {
    fs::write(folder.join("PLAN.toml"), plan).unwrap();
    Command::new(env!("CARGO_BIN_EXE_isukit"))
        .args(["place", "PLAN.toml"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn the_report_keeps_to_its_schema_and_names_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let output = place(folder.path(), PLAN, &["--format", "json", "--top", "3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&output);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/place.v1.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = schema
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");

    let placements = report["placements"].as_array().unwrap();
    assert_eq!(placements.len(), 3);
    let best = &placements[0];
    assert_eq!(best["rank"], 1);
    assert_eq!(best["predicted_rps"], 400.0);
    assert_eq!(best["bottleneck"], "s3");
    assert_eq!(best["assign"]["mysql"][0]["node"], "s3");
    assert_eq!(best["assign"]["web"][0]["node"], "s2");
    assert_eq!(best["utilisation"]["s3"], 1.0);
    assert_eq!(best["reasons"].as_array().unwrap().len(), 5);
    assert!(report["ties"].as_u64().unwrap() >= 1);
    assert_eq!(report["current"]["predicted_rps"], 320.0);
    let next = report["next"].as_array().unwrap();
    assert!(
        next.iter()
            .any(|step| step["what"] == "halve mysql's demand"),
        "{next:?}"
    );
}

#[test]
fn a_given_placement_is_predicted_and_a_full_one_is_called_impossible() {
    let folder = tempfile::tempdir().unwrap();
    let one = "envoy=s1 nginx=s1 api=s1 web=s1 mysql=s1";
    let output = place(folder.path(), PLAN, &["--assign", one, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = json(&output);
    assert_eq!(report["placements"][0]["feasible"], false);
    let why = report["placements"][0]["reasons"][0].as_str().unwrap();
    assert!(why.contains("s1 has 1024 MB of memory"), "{why}");

    let two = "envoy=s3;nginx=s3;api=s3;web=s3:1,s1:1;mysql=s2";
    let output = place(folder.path(), PLAN, &["--assign", two]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("web can be on at most 1 nodes"), "{text}");
    let output = place(folder.path(), PLAN, &["--assign", "web=s9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no node 's9'"));
}

#[test]
fn a_plan_without_a_way_says_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = PLAN
        .replace("memory_mb = 630", "memory_mb = 6300")
        .replace("current", "#");
    let output = place(folder.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("memory") && text.contains("mysql needs 6300 MB"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_a_plan_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |from: &str, to: &str, line: Option<usize>, why: &str| {
        assert!(PLAN.contains(from), "{from}");
        let output = place(folder.path(), &PLAN.replacen(from, to, 1), &[]);
        assert_eq!(output.status.code(), Some(2), "{to}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(why), "{to}: {said}");
        if let Some(line) = line {
            assert!(said.contains(&format!("PLAN.toml:{line}:")), "{to}: {said}");
        }
        assert!(output.stdout.is_empty());
    };
    check("cores = 2", "cores = 0", Some(7), "more than 0");
    check("cores = 2", "cores = -1", Some(7), "a number from 0");
    check("cores = 2", "cores = nan", Some(7), "a number");
    check("cores = 2", "cors = 2", Some(7), "did you mean `cores`?");
    check("cores = 2\n", "", Some(5), "no `cores`");
    check(
        "name = \"s2\"",
        "name = \"s1\"",
        Some(11),
        "two of the node `s1`",
    );
    check(
        "name = \"s2\"",
        "name = \"s 2; rm\"",
        Some(11),
        "a name is of letters",
    );
    check("demand_ms = 10\n", "", None, "give --run and --probe");
    check(
        "from = \"web\"\nto = \"mysql\"",
        "from = \"web\"\nto = \"mysq\"",
        None,
        "did you mean 'mysql'?",
    );
    check(
        "from = \"api\"\nto = \"mysql\"",
        "from = \"mysql\"\nto = \"web\"",
        None,
        "closes a circle",
    );
    check(
        "from = \"api\"\nto = \"mysql\"",
        "from = \"api\"\nto = \"api\"",
        None,
        "calls itself",
    );
    check(
        "port = 3306",
        "pinned_to = [\"s4\"]",
        None,
        "there is no node 's4'",
    );
    check(
        "port = 3306",
        "together_with = [\"web\"]\napart_from = [\"web\"]",
        None,
        "must be apart",
    );
    check(
        "port = 3306",
        "apart_from = [\"mysql\"]",
        None,
        "in its own",
    );
    check("port = 3306", "max_replicas = 1.5", None, "a whole number");
    check(
        "port = 3306",
        "port = 99999",
        None,
        "a number from 1 to 65535",
    );
    check(
        "port = 3306",
        "pool = { min_mb = 9, max_mb = 1, curve = [[1, 2.0]] }",
        None,
        "is more than",
    );
    check(
        "port = 3306",
        "pool = { min_mb = 1, max_mb = 9, curve = [[2, 1.0], [1, 2.0]] }",
        None,
        "must rise",
    );
    check("mysql=s3\"", "mysql=s7\"", Some(3), "there is no node 's7'");
    check("[[node]]", "[[nod]]", None, "did you mean `node`?");
    check("current", "= 1\ncurrent", Some(3), "PLAN.toml");
    check(
        "current",
        "survive_node_failure = true\ncurrent",
        None,
        "cannot survive",
    );
    check(
        "current",
        "headroom = 1.5\ncurrent",
        None,
        "a number from 0 to 0.95",
    );
}

#[test]
fn what_ties_is_counted_however_little_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let count = |top: &str| {
        json(&place(
            folder.path(),
            PLAN,
            &["--format", "json", "--top", top],
        ))["ties"]
            .clone()
    };
    assert_eq!(count("1"), count("20"));
    assert!(count("1").as_u64().unwrap() > 1);
    // Nodes without a difference are one placement, and that is said.
    let plan = "[[node]]\nname = \"s1\"\ncores = 2\nmemory_mb = 1000\n\
                [[node]]\nname = \"s2\"\ncores = 2\nmemory_mb = 1000\n\
                [[service]]\nname = \"a\"\ndemand_ms = 1\nmemory_mb = 1\n";
    let text = String::from_utf8(place(folder.path(), plan, &[]).stdout).unwrap();
    assert!(text.contains("s1 and s2 are alike"), "{text}");
    assert!(text.contains("a on s1: s2 would do as well\n"), "{text}");
}

#[test]
fn what_was_asked_for_is_shown_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "[[node]]\nname = \"s1\"\ncores = 2\nmemory_mb = 1000\naddress = \"fd00::2\"\n\
                [[node]]\nname = \"s2\"\ncores = 1\nmemory_mb = 1000\n\
                [[service]]\nname = \"123\"\ndemand_ms = 1\nmemory_mb = 990\npinned_to = \"s1\"\nport = 80\n\
                [[service]]\nname = \"web_1\"\ndemand_ms = 1\nmemory_mb = 1\n\
                [[service]]\nname = \"web-1\"\ndemand_ms = 1\nmemory_mb = 1\n\
                [[call]]\nfrom = \"web-1\"\nto = \"123\"\nper_request = 1\n";
    let output = place(
        folder.path(),
        plan,
        &[
            "--assign",
            "123=s2 web_1=s1 web-1=s1",
            "--assign",
            "123=s1 web_1=s2 web-1=s2",
            "--top",
            "1",
            "--recipes",
        ],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("2 placements as given") && text.contains("\n2 "),
        "{text}"
    );
    assert!(text.contains("to paste, for placement 2:"), "{text}");
    assert!(text.contains("server [fd00::2]:80;"), "{text}");
    assert!(
        text.contains("name: \"123\"") && text.contains("name: \"web-1-2\""),
        "{text}"
    );
    // With 15% more it would not fit.
    assert!(
        text.contains("memory: 900Mi") && text.contains("cut to what fits"),
        "{text}"
    );
    let refused = place(folder.path(), plan, &["--recipes", "--format", "json"]);
    assert_eq!(refused.status.code(), Some(2));
    let full = plan.replace("cores = 2", "cores = 2\nbackground_cores = 2");
    let text = String::from_utf8(place(folder.path(), &full, &[]).stdout).unwrap();
    assert!(text.contains("background_cores and headroom"), "{text}");
}

#[test]
fn what_is_no_text_and_what_has_no_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.toml");
    std::fs::write(&path, b"[[node]]\nname = \"\xff\"\n").unwrap();
    for (plan, why) in [
        (path.as_path(), "plan.toml: byte 17 is not UTF-8"),
        (Path::new("/dev/zero"), "/dev/zero has more than "),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_isukit"))
            .args(["place".as_ref(), plan.as_os_str()])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn nginx_takes_what_is_to_be_pasted_and_the_rest_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = PLAN
        .replace("port = 9292", "port = 9292\nmax_replicas = 2")
        .replace("name = \"s2\"", "name = \"s2\"\naddress = \"127.0.0.2\"");
    let plan = plan.replace("name = \"s1\"", "name = \"s1\"\naddress = \"127.0.0.1\"");
    let plan = plan.replace("name = \"s3\"", "name = \"s3\"\naddress = \"127.0.0.3\"");
    let output = place(folder.path(), &plan, &["--format", "markdown", "--recipes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let block = |language: &str| {
        let start = text.find(&format!("```{language}\n")).unwrap() + language.len() + 4;
        let length = text[start..].find("```").unwrap();
        text[start..start + length].to_owned()
    };
    let upstreams = block("nginx");
    assert!(upstreams.contains("upstream web {"), "{upstreams}");
    let conf = format!(
        "error_log stderr; pid {0}/pid; events {{}}\nhttp {{ access_log off; {upstreams} }}\n",
        folder.path().display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, conf).unwrap();
    let nginx = Command::new("/usr/sbin/nginx")
        .arg("-t")
        .arg("-c")
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        nginx.status.success(),
        "{}",
        String::from_utf8_lossy(&nginx.stderr)
    );
    // The shape of YAML: spaces by twos, and nothing that would need quotes.
    for line in text
        .split("```yaml\n")
        .skip(1)
        .flat_map(|part| part.split("```").next())
        .flat_map(str::lines)
    {
        let indent = line.len() - line.trim_start().len();
        assert!(indent % 2 == 0 && !line.contains('\t'), "{line:?}");
    }
    assert!(
        text.contains("kubernetes.io/hostname") && text.contains("requests: { cpu:"),
        "{text}"
    );
    assert!(text.contains("[Service]\nLimitNOFILE=65536"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a plan is made of, reading it ends with a plan or an error, and so does ranking.
    #[test]
    fn any_plan_is_survived(
        changes in proptest::collection::vec((0..PLAN.len(), proptest::string::string_regex("[ -~]{0,3}").unwrap()), 1..6),
        bytes in proptest::option::weighted(0.2, proptest::collection::vec(any::<u8>(), 0..200)),
    ) {
        use isukit_analyze::placement::{Evidence, Report, read};
        let mut text = PLAN.to_owned();
        for (at, with) in changes {
            let end = (at + with.len()).min(text.len());
            if text.is_char_boundary(at.min(text.len())) && text.is_char_boundary(end) && at <= end {
                text.replace_range(at.min(end)..end, &with);
            }
        }
        if let Some(bytes) = bytes {
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        if let Ok(plan) = read("p", &text, &Evidence::default()) {
            let report = Report::of_best(plan, 2, Vec::new());
            for found in &report.placements {
                prop_assert!(found.is_feasible() && found.rps >= 0.0);
            }
            let _ = report.text(isukit_analyze::report::TableStyle::Text, 2);
            serde_json::to_string(&report.json(2)).unwrap();
        }
    }
}
