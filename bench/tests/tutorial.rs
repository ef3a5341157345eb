//! What `scenarios/README.md` shows is true: every step of the tutorial is run as it stands there.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

#[path = "../examples/rust_user.rs"]
mod rust_user;
mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::scenario::{Folder, ONCE, main_of, wrongs};
use support::{Conn, Ran, Target, count, number, reply};

/// The folder of this repository that has the scenarios.
const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");

/// A teams target; it ends with the test process.
fn teams() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            teams_target::serve(listener, std::future::pending()).await;
        });
    });
    url
}

fn protos() -> String {
    std::fs::read_to_string(format!("{SCENARIOS}/teams/teams.proto")).unwrap()
}

/// A step of the tutorial: its heading, and the files it shows.
#[derive(Debug)]
struct Step {
    heading: String,
    toml: String,
    script: String,
}

/// The steps of the README whose files are in this folder: fences that name a file, with those of the
/// steps before where one is not shown again.
fn steps(folder: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(format!("{SCENARIOS}/README.md")).unwrap();
    let (mut toml, mut script) = (String::new(), String::new());
    let mut steps = Vec::new();
    for section in text.split("\n##") {
        let mut shown = false;
        for block in section.split("\n```").skip(1).step_by(2) {
            let (fence, content) = block.split_once('\n').unwrap();
            let file = fence.split_once(' ').map_or("", |(_, file)| file);
            let part = match file.strip_prefix(folder) {
                Some("scenario.toml") => &mut toml,
                Some("scenario.luau") => &mut script,
                _ => continue,
            };
            *part = format!("{content}\n");
            shown = true;
        }
        if shown {
            steps.push(Step {
                heading: section.lines().next().unwrap().to_owned(),
                toml: toml.clone(),
                script: script.clone(),
            });
        }
    }
    steps
}

/// A run without any error in which every check held, though there were some.
#[track_caller]
fn passes(ran: &Ran, what: &str) -> Value {
    let report = ran.report();
    assert_eq!(ran.code, 0, "{what}: {}", wrongs(ran));
    assert_eq!(count(&report, "/errors"), 0, "{what}: {}", wrongs(ran));
    assert!(count(&report, "/requests") > 5, "{what}: {report:#}");
    for check in report["checks"].as_array().unwrap() {
        assert!(check["failed"] == 0, "{what}: {check}");
    }
    report
}

#[test]
fn every_step_of_the_tutorial_runs() {
    let url = teams();
    let steps = steps("");
    assert_eq!(steps.len(), 5, "{steps:?}");
    for step in &steps {
        let folder = Folder::new(&step.toml, &step.script).file("teams.proto", protos());
        let ran = folder.run(&url, &["--duration", "1s"]);
        let report = passes(&ran, &step.heading);
        let tags = report["score_breakdown"].as_array().unwrap();
        for tag in tags.iter().filter(|tag| tag["name"] != "error") {
            let counted = tag["count"].as_u64().unwrap();
            assert!(counted > 0, "{}: {tag}", step.heading);
        }
        let kinds = step.toml.matches("[phase.users.").count();
        assert!(kinds > 0 && step.toml.len() > 50, "{step:?}");
    }
}

/// The shop of the section on JSON.
fn shop(conn: &mut Conn) -> Option<()> {
    loop {
        let asked = conn.request()?;
        let line = asked.head.lines().next()?;
        let body = String::from_utf8_lossy(&asked.body);
        let session = asked.header("cookie").and_then(|c| c.split_once('='));
        let json = "Content-Type: application/json\r\n";
        let said = match (line.trim_end_matches(" HTTP/1.1"), session) {
            ("GET /api/items?limit=10", _) => {
                reply("200 OK", json, r#"[{"id": 1, "price": 2.5, "note": null}]"#)
            }
            ("POST /login", _) => {
                let name = body.split(['=', '&']).nth(1)?.to_owned();
                let cookie = format!("Set-Cookie: session={name}; Path=/; HttpOnly\r\n{json}");
                reply("200 OK", &cookie, "{}")
            }
            ("POST /api/orders", Some((_, name))) => {
                assert_eq!(body, r#"{"count":2,"item":1}"#);
                assert_eq!(asked.header("content-type"), Some("application/json"));
                let headers = format!("Location: /api/orders/7\r\n{json}");
                let order = format!(r#"{{"id": 7, "buyer": "{name}"}}"#);
                reply("201 Created", &headers, order)
            }
            ("POST /api/orders", None) => reply("401 Unauthorized", json, "{}"),
            _ => reply("404 Not Found", json, "{}"),
        };
        conn.say(said)?;
    }
}

#[test]
fn the_example_for_json_runs() {
    let target = Target::start(shop);
    let steps = steps("json/");
    let [step] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    let ran = Folder::new(&step.toml, &step.script).run(&target.url(), &["--duration", "1s"]);
    let report = passes(&ran, &step.heading);
    assert!(number(&report, "/score") > 100.0, "{report:#}");
}

#[test]
fn the_sample_scenario_runs() {
    let url = teams();
    let folder = format!("{SCENARIOS}/teams");
    let ran = support::run(&[&folder, "--target", &url, "--duration", "1s"]);
    let report = passes(&ran, "scenarios/teams");
    assert!(number(&report, "/score") > 50.0, "{report:#}");
    assert_eq!(report["thresholds"].as_array().unwrap().len(), 2);
    assert!(report["checks"].as_array().unwrap().len() >= 8);
}

/// What the reference promises in passing; `main` runs once.
#[test]
fn small_things_are_as_they_are_told() {
    let url = teams();
    #[track_caller]
    fn check(url: &str, body: &str) {
        let folder = Folder::new(ONCE, &main_of(body)).file("teams.proto", protos());
        let ran = folder.run(url, &[]);
        assert_eq!(ran.code, 0, "{body}: {}", wrongs(&ran));
    }
    let team = "local team = c:get('/api/teams/7'):ok(P.GetTeamResponse).team\n";
    let lists = "
        local seen = 0
        for at, member in ipairs(team.members) do must('ipairs', member.id == 70 + at); seen += 1 end
        for at, member in pairs(team.members) do must('pairs', member.id == 70 + at); seen += 1 end
        for at, value in ipairs({ 'a', 'b' }) do seen += at end
        for _, value in pairs({ x = 1 }) do seen += value end
        must('all were seen', seen == 10, seen)
        local names = {}
        for _, member in random.shuffle(team.members) do names[member.name] = true end
        must('shuffled', names['member-7-1'] and names['member-7-2'] and names['member-7-3'])
        must('the list is as it was', team.members[1].id == 71)
        must('plain lists too', #random.shuffle({ 1, 2, 3 }) == 3)";
    check(&url, &format!("{team}{lists}"));
    let enums = "must('enum', P.Role.ROLE_LEADER == 'ROLE_LEADER')
        must('full name', P['teams.v1.Role'].ROLE_MEMBER == team.members[2].role)
        must('unknown', not pcall(function() return P.Role.ROLE_NONE end))
        must('unknown', not pcall(function() return P.Rule end))";
    check(&url, &format!("{team}{enums}"));
    check(
        &url,
        "local reply = c:post('/api/teams', P.CreateTeamRequest {})
        must('looked at', reply.status == 400)
        c:get('/api/teams/0', { status = 404 })
        must('caught', try(function() return 1 end))
        must('large', P.Team { id = '9007199254740993', members = { { name = 'ann' } } })",
    );
}

#[test]
fn unique_names_are_so_in_all_phases() {
    let toml = "[[phase]]\nname = \"warm-up\"\nduration = \"200ms\"\ncounts = false\n\
                [phase.users.reader]\nusers = 3\n\
                [[phase]]\nname = \"load\"\nduration = \"200ms\"\n[phase.users.reader]\nusers = 3\n";
    let script = "return { reader = function(u)
        must('nobody else has the name', once(u:unique('x')))
        u.client:get('/api/teams/1'):ok()
    end }";
    let ran = Folder::new(toml, script).run(&teams(), &["--threads", "2"]);
    passes(&ran, "unique");
}

#[test]
fn the_user_in_rust_runs() {
    let folder = Path::new(SCENARIOS).join("teams");
    let outcome = rust_user::load(&teams(), folder, 4, Duration::from_millis(300)).unwrap();
    let all = &outcome.totals.all;
    assert_eq!(all.errors(), 0, "{:?}", all.faults.entries());
    assert!(all.tags[0] > 5, "{:?}", all.tags);
    assert_eq!(
        outcome.checks,
        ["the team has its name", "it is the team asked for"]
    );
    assert_eq!(outcome.steps, ["create", "read"]);
}

/// What Luau itself has, as far as scripts are given it.
const LUAU: &str = "assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset \
    select setmetatable tonumber tostring type typeof unpack xpcall bit32 buffer math string table utf8 \
    _G _VERSION";

/// The definitions for editors declare every global and every method, and none that is not there.
#[test]
fn the_definitions_are_complete() {
    let text = include_str!("../src/scenario/script/isukit.d.luau");
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut globals: Vec<String> = LUAU.split_whitespace().map(str::to_owned).collect();
    // The scenario's own are declared by `--types`.
    globals.push("P".to_owned());
    let (mut class, mut methods) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("declare class ") {
            class = name(rest);
        } else if let Some(rest) = line.strip_prefix("\tfunction ") {
            if !rest.starts_with("__") {
                methods.push((class.clone(), name(rest)));
            }
        } else if let Some(rest) = line.strip_prefix("declare ") {
            globals.push(name(rest.strip_prefix("function ").unwrap_or(rest)));
        }
    }
    assert!(
        globals.len() > 50 && methods.len() > 30,
        "{globals:?} {methods:?}"
    );
    let mut body = "local known = {}\n".to_owned();
    for name in &globals {
        body.push_str(&format!("known.{name} = true\n"));
        body.push_str(&format!("must('{name} is there', _G.{name} ~= nil)\n"));
    }
    body.push_str("for name in _G do must('it is declared', known[name], name) end\n");
    body.push_str(
        "local of = { User = u, Client = c, Reply = c:get('/api/teams/7'), Pool = pool('x'),
        Counter = counter('x'), Shared = shared('x'), Feed = feed('names') }\n",
    );
    for (class, method) in &methods {
        body.push_str(&format!(
            "must('{class}:{method} is there', type(of.{class}.{method}) == 'function')\n"
        ));
    }
    let toml = format!("{ONCE}[feeds]\nnames = \"names.csv\"\n");
    let folder = Folder::new(&toml, &main_of(&body)).file("names.csv", "id\n1\n");
    let ran = folder.file("teams.proto", protos()).run(&teams(), &[]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
}
