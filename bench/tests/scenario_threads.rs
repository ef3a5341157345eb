//! The same seed gives the same users, whatever the threads: each asks for the same things in the
//! same order.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use support::scenario::{App, Folder, wrongs};

const PROTO: &str = "syntax = \"proto3\"; package t; message Team { string name = 1; int64 id = 2; \
    map<string, int32> scores = 3; }";

/// Three kinds of users that each do so much and then stay.
const TOML: &str = "[feeds]\nnames = \"n.csv\"\n[score]\ndone = 1\n\
    [[phase]]\nname = \"initialize\"\nrun = \"initialize\"\n\
    [[phase]]\nname = \"load\"\nduration = \"900ms\"\n\
    [phase.users.reader]\nusers = 5\n\
    [phase.users.writer]\nramp = [{ over = \"100ms\", users = 3 }]\n\
    [phase.users.guest]\narrivals = [{ at = \"0s\", users = 4 }, { from = \"100ms\", to = \"300ms\", rate = \"20/s\" }]\n";

/// Every request says who it is from.
const SCRIPT: &str = "
local function ask(u, what, body)
    local options = { headers = { ['X-User'] = u.name } }
    if body then u.client:post(what, body, options):ok() else u.client:get(what, options):ok() end
end
local function act(u)
    for i = 1, 6 do
        ask(u, '/' .. math.random(1e9) .. '/' .. random.text(5))
        if random.chance(0.5) then ask(u, '/' .. random.pick { 'a', 'b', 'c' }) end
        ask(u, '/row/' .. u:row('names').name .. '/' .. feed('names'):random().name)
        ask(u, '/', P.Team { name = u:unique('t'), id = math.random(100), scores = { z = 1, a = 2, m = 3 } })
        ask(u, '/', { z = random.between(0, 1), a = table.concat(random.shuffle { 1, 2, 3, 4 }), m = {} })
        ask(u, '/form', form { z = 1, a = 2, m = { 3, 4 } })
        parallel(function() ask(u, '/one/' .. math.random(9)) end)
        pause(random.between(0.001, 0.004))
    end
    score('done')
end
return {
    initialize = function(u) ask(u, '/initialize/' .. math.random(1e9)) end,
    reader = function(u) act(u) pause(9) end,
    writer = function(u) act(u) pause(9) end,
    guest = act,
}";

/// What each user asked for, in its order.
fn asked(seed: &str, threads: &str) -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
    let app = App::start();
    let names: String = (0..40).map(|n| format!("n{n}\n")).collect();
    let folder = Folder::new(TOML, SCRIPT)
        .file("t.proto", PROTO)
        .file("n.csv", format!("name\n{names}"));
    let ran = folder.run(&app.url(), &["--seed", seed, "--threads", threads]);
    assert_eq!((ran.code, &*wrongs(&ran)), (0, ""));
    let report = ran.report();
    support::check_sums(&report);
    assert_eq!(report["score"], 16.0, "{report:#}");
    let mut users: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for seen in app.seen() {
        let requests = users.entry(seen.header("x-user").to_owned()).or_default();
        requests.push((seen.line().to_owned(), seen.asked.body));
    }
    users
}

#[test]
fn users_do_the_same_whatever_the_threads() {
    let one = asked("7", "1");
    let names: Vec<&str> = one.keys().map(String::as_str).collect();
    let expected = [
        "guest-0",
        "guest-1",
        "guest-2",
        "guest-3",
        "guest-4",
        "guest-5",
        "guest-6",
        "guest-7",
        "initialize-0",
        "reader-0",
        "reader-1",
        "reader-2",
        "reader-3",
        "reader-4",
        "writer-0",
        "writer-1",
        "writer-2",
    ];
    assert_eq!(names, expected);
    for threads in ["1", "2", "3"] {
        let other = asked("7", threads);
        for (user, requests) in &one {
            assert_eq!(other.get(user), Some(requests), "{user}, {threads} threads");
        }
        assert_eq!(other.len(), one.len());
    }
    // Neighbours are unlike each other, and so are kinds.
    let first = |user: &str| one[user][0].0.clone();
    assert_ne!(first("reader-0"), first("reader-1"));
    assert_ne!(first("reader-0"), first("writer-0"));
    assert_ne!(first("reader-0"), first("guest-0"));
}

#[test]
fn another_seed_makes_other_users() {
    let (one, other) = (asked("7", "1"), asked("8", "1"));
    for (user, requests) in &one {
        assert_ne!(other.get(user), Some(requests), "{user}");
    }
}

/// How many there are of what happens once, comes in bursts or at a rate.
#[test]
fn counts_are_the_same_whatever_the_threads() {
    let toml = "[[phase]]\nname = \"load\"\nduration = \"500ms\"\n\
        [phase.users.main]\nusers = 7\n\
        [phase.users.burst]\narrivals = [{ at = \"50ms\", users = 11 }, { at = \"100ms\", users = 5 }]\n\
        [phase.users.rate]\nrate = \"100/s\"\n";
    let script = "return {
        main = function(u)
            for i = 1, 10 do if once('id' .. i) then u.client:get('/once/' .. i) end end
            pause(9)
        end,
        burst = function(u) u.client:get('/burst/' .. u.number) end,
        rate = function(u) u.client:get('/rate/' .. u.number) end,
    }";
    for threads in ["1", "2", "5"] {
        let app = App::start();
        let ran = Folder::new(toml, script).run(&app.url(), &["--threads", threads]);
        assert_eq!((ran.code, &*wrongs(&ran)), (0, ""));
        let report = ran.report();
        support::check_sums(&report);
        let mut paths: Vec<String> = app.seen().iter().map(|s| s.path().to_owned()).collect();
        paths.sort();
        let mut expected: Vec<String> = (1..=10).map(|n| format!("/once/{n}")).collect();
        expected.extend((0..16).map(|n| format!("/burst/{n}")));
        expected.extend((0..50).map(|n| format!("/rate/{n}")));
        expected.sort();
        assert_eq!(paths, expected, "{threads} threads");
    }
}
