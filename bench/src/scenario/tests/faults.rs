//! What is said when `scenario.toml` is wrong: rows of a text and its fault.

use super::{LEAST, folder, read};

/// What is said about `text`.
#[track_caller]
fn check(text: &str, expected: &str) {
    let error = read(&folder(), text).err();
    assert_eq!(error.as_deref(), Some(expected), "{text}");
}

#[test]
fn faults_of_the_file_are_told() {
    // `top` stands before the least a scenario must say, `below` behind it, from line 5 on.
    let top = |text: &str, expected: &str| check(&format!("{text}\n{LEAST}"), expected);
    let below = |text: &str, expected: &str| check(&format!("{LEAST}{text}\n"), expected);
    let at = |place: &str, message: &str| format!("scenario.toml:{place}: {message}");
    top("a = = 1", "scenario.toml:1:5: extra `=`, expected nothing");
    top(
        "scirpt = \"a\"",
        &at(
            "1:1",
            "unknown key `scirpt` in the file; did you mean `script`?",
        ),
    );
    top(
        "zebra = 1",
        &at(
            "1:1",
            "unknown key `zebra` in the file; it takes `target`, `script`, `user_agent`, `thresholds`, `proto`, `headers`, `limits`, `timeouts`, `routes`, `feeds`, `assets`, `phase`, `score`, `fail`",
        ),
    );
    below(
        "[fail]\nthresholds = []",
        &at(
            "6:1",
            "unknown key `thresholds` in [fail]; it belongs to the top of the file, before the first table",
        ),
    );
    top(
        "target = \"http://\"",
        &at(
            "1:10",
            "`http://` is not a URL: empty host; write one such as http://127.0.0.1:8080/path",
        ),
    );
    top(
        "target = 5",
        &at(
            "1:10",
            "`target` is an integer; write a string such as \"http://127.0.0.1:8080\"",
        ),
    );
    top(
        "user_agent = \"\"",
        &at(
            "1:14",
            "`user_agent` is empty; write one such as \"my-benchmark/1\"",
        ),
    );
    top(
        "thresholds = [\"p99 < 50ms\", \"p99\"]",
        &at(
            "1:29",
            "`p99` compares nothing; write METRIC OP VALUE, such as `p99 < 50ms` or `errors < 1%`",
        ),
    );
    below(
        "[headers]\nX-A = \"a\\nb\"",
        &at(
            "6:7",
            "`X-A` is not a header; write `Name: value` without line breaks",
        ),
    );
    below(
        "[headers]\nContent-length = \"1\"",
        &at(
            "6:1",
            "`Content-length` is written by isukit as each body needs it; leave it out",
        ),
    );
    below("[headers]\nA = 1\nA = 2", &at("7:1", "duplicate key"));
    below(
        "[limits]\nconnections = 65",
        &at("6:15", "`connections` must be an integer from 1 to 64"),
    );
    below(
        "[limits]\nmemory = \"1k\"",
        &at(
            "6:10",
            "`memory` is 1k; it must be from 1.00 MiB to 1.00 TiB",
        ),
    );
    below(
        "[limits]\ncpu = 5",
        &at("6:7", "`cpu` is an integer; write a string such as \"10s\""),
    );
    below(
        "[limits]\ncpu = \"fast\"",
        &at(
            "6:7",
            "`cpu`: `fast` is not a duration; write a number and a unit, such as 300ms, 10s or 2m",
        ),
    );
    below(
        "[timeouts]\ndefault = \"0s\"",
        &at("6:11", "`default` is 0s; it must be from 1.00ms to 60m00s"),
    );
    below(
        "[timeouts.routes]\n\"get /a\" = \"1s\"",
        &at(
            "6:1",
            "`get` is no method; write it in capitals, such as `GET /path`",
        ),
    );
    below(
        "[routes]\n\"/a*\" = \"a\"",
        &at(
            "6:1",
            "`/a*` has a `*` that is not the last segment; write `/path/*`, or `:name` for one segment",
        ),
    );
    below(
        "[proto]\nerror = \"E\"",
        &at(
            "5:1",
            "no .proto file is beside the file; write roots = [\"FOLDER\"] to say where they are",
        ),
    );
    below(
        "[fail]\nerror_over = 1",
        &at(
            "6:1",
            "unknown key `error_over` in [fail]; did you mean `errors_over`?",
        ),
    );
    below(
        "[fail]\nerrors_over = -1",
        &at(
            "6:15",
            "`errors_over` must be an integer from 0 to 9223372036854775807",
        ),
    );
}

#[test]
fn paths_stay_in_the_folder() {
    let feed = |path: &str, expected: &str| {
        let text = format!("{LEAST}[feeds]\na = \"{path}\"\n");
        check(&text, &format!("scenario.toml:6:5: {expected}"));
    };
    let outside = |path| format!("`{path}` is outside of DIR; put it there and name it from there");
    feed("../outside.csv", &outside("../outside.csv"));
    feed("/etc/a.csv", &outside("/etc/a.csv"));
    feed(
        "public/../../outside.csv",
        &outside("public/../../outside.csv"),
    );
    feed("link.csv", &outside("link.csv"));
    feed(
        "none.csv",
        "cannot read none.csv: No such file or directory (os error 2)",
    );
    feed(
        "notes.txt",
        "`notes.txt` is neither .csv nor .jsonl; a feed is one of them",
    );
    feed("", "`` is neither .csv nor .jsonl; a feed is one of them");
    let other = |text: &str, expected: &str| check(&format!("{text}\n{LEAST}"), expected);
    other(
        "script = \"../x.luau\"",
        &format!("scenario.toml:1:10: {}", outside("../x.luau")),
    );
    other(
        "script = \"\"",
        &format!("scenario.toml:1:10: {}", outside("")),
    );
    other(
        "script = \"x.luau\"",
        "scenario.toml:1:10: cannot read x.luau: No such file or directory (os error 2)",
    );
    other(
        "script = \"public\"",
        "scenario.toml:1:10: public is no file; name one",
    );
    other(
        "proto.roots = [\"protos\", \"..\"]",
        &format!("scenario.toml:1:26: {}", outside("..")),
    );
    other(
        "proto.roots = [\"names.csv\"]",
        "scenario.toml:1:16: names.csv is no folder; name the folder it is in",
    );
    other(
        "assets = { \"/a\" = \"../outside.csv\" }",
        &format!("scenario.toml:1:19: {}", outside("../outside.csv")),
    );
    other(
        "assets = { \"a\" = \"names.csv\" }",
        "scenario.toml:1:12: `a` is no path on the target; write it from the slash on",
    );
    other(
        "assets = { \"/a\" = \"sha256:12\" }",
        "scenario.toml:1:19: that is no SHA-256; write sha256: and 64 hexadecimal digits",
    );
    other(
        "assets = { \"/a\" = \"b.css\" }",
        "scenario.toml:1:19: cannot read b.css: No such file or directory (os error 2)",
    );
}

#[test]
fn faults_of_phases_are_told() {
    // `text` stands from line 3 on in a phase.
    let phase = |text: &str, expected: &str| {
        let text = format!("[[phase]]\nname = \"load\"\n{text}\n");
        check(&text, &format!("scenario.toml:{expected}"));
    };
    check(
        "",
        "scenario.toml:1:1: the file has no `phase`; write [[phase]], name = \"load\", duration = \"60s\" and [phase.users.NAME]",
    );
    check(
        "phase = []",
        "scenario.toml:1:9: there is no phase; write [[phase]], name = \"load\", duration = \"60s\" and [phase.users.NAME]",
    );
    check(
        "[phase]\nname = \"a\"",
        "scenario.toml:1:1: `phase` is a table; write an array such as [[phase]], with two brackets",
    );
    check(
        "\n[[phase]]\nrun = \"a\"",
        "scenario.toml:2:1: [[phase]] has no `name`; write name = \"load\"",
    );
    phase(
        "",
        "1:1: [[phase]] has no `duration`; write duration = \"60s\", or run = \"FUNCTION\" to run a function once",
    );
    phase(
        "run = \"a\"\nduration = \"1s\"",
        "4:1: a phase has `run` or `duration`, not both: it runs one function once, or it has a duration and users",
    );
    phase(
        "run = \"a\"\nusers.a.users = 1",
        "4:1: a phase has `run` or `users`, not both: it runs one function once, or it has a duration and users",
    );
    phase(
        "run = \"a b\"",
        "3:7: `a b` is no name of a function; a name is made of letters, digits and _",
    );
    phase(
        "run = \"a\"\ntime_limit = \"0s\"",
        "4:14: `time_limit` is 0s; it must be from 1.00ms to 24h00m",
    );
    phase(
        "time_limit = \"1s\"",
        "3:1: `time_limit` is for a phase with `run`; write `duration`",
    );
    phase(
        "duration = \"0s\"\nusers.a.users = 1",
        "3:12: `duration` is 0s; it must be from 1.00ms to 24h00m",
    );
    phase(
        "durtion = \"1s\"",
        "3:1: unknown key `durtion` in [[phase]]; did you mean `duration`?",
    );
    phase(
        "duration = \"1s\"\nstop_new = \"1s\"\nusers.a.users = 1",
        "4:12: `stop_new` is as long as the phase or longer, so nothing would ever begin; make it shorter than `duration`",
    );
    phase(
        "duration = \"1s\"\ncounts = 1",
        "4:10: `counts` is an integer; write true or false",
    );
    phase(
        "duration = \"1s\"",
        "1:1: [[phase]] has no `users`; write [phase.users.NAME]",
    );
    phase(
        "duration = \"1s\"\nusers = 5",
        "4:9: `users` is an integer; write a table: [phase.users.NAME]",
    );
    phase(
        "duration = \"1s\"\nusers = {}",
        "4:9: a load phase needs users; write [phase.users.NAME]",
    );
    phase(
        "run = \"a\"\n[[phase]]\nname = \"load\"\nrun = \"b\"",
        "4:1: the phase of line 3 is called `load` as well; give one another name",
    );
    let many = "[[phase]]\nname = \"a\"\nrun = \"a\"\n".repeat(65);
    check(
        &many,
        "scenario.toml:1:1: `phase` has 65 elements; at most 64",
    );
}

#[test]
fn faults_of_users_are_told() {
    // `text` stands from line 6 on in a kind of users, of a phase of ten seconds.
    let users = |text: &str, expected: &str| {
        let head = "score = { win = 1 }\n[[phase]]\nname = \"load\"\nduration = \"10s\"\n";
        let text = format!("{head}[phase.users.team]\n{text}\n");
        check(&text, &format!("scenario.toml:{expected}"));
    };
    users(
        "",
        "5:1: [phase.users.team] says nothing of how many; write `users`, `ramp`, `arrivals`, `rate` or `on_score`",
    );
    users(
        "user = 1",
        "6:1: unknown key `user` in [phase.users.team]; did you mean `users`?",
    );
    users(
        "users = 0",
        "6:9: `users` must be an integer from 1 to 1000000",
    );
    users(
        "users = -5",
        "6:9: `users` must be an integer from 1 to 1000000",
    );
    users(
        "users = 1.5",
        "6:9: `users` is a number; write an integer from 1 to 1000000",
    );
    users(
        "users = 5\nrate = \"1/s\"",
        "6:1: `users` does not go with `rate`; a kind of users has one way of load",
    );
    users(
        "users = 5\nmax_users = 6",
        "7:1: `max_users` does not go with `users`; it is for `arrivals` and `rate`",
    );
    users(
        "rate = \"1/s\"\narrivals = []",
        "6:1: `rate` does not go with `arrivals`; a kind of users has one way of load",
    );
    users(
        "rate = \"1/s\"\nat_most = 6",
        "7:1: `at_most` does not go with `rate`; it is for `on_score` and `on_error`",
    );
    users(
        "ramp = []\nuntil = \"x\"",
        "7:1: `until` does not go with `ramp`; it is for `arrivals`, `rate`, `on_score` and `on_error`",
    );
    users(
        "ramp = []",
        "6:8: `ramp` leads to no users; write [{ over = \"10s\", users = 100 }]",
    );
    users(
        "ramp = [{ over = \"8s\", users = 1 }, { over = \"3s\", users = 2 }]",
        "6:46: the ramp is longer than the phase; make it shorter or `duration` longer",
    );
    users(
        "ramp = [{ users = 1 }]",
        "6:9: this point has no `over`; write { over = \"10s\", users = 100 }",
    );
    users(
        "run = \"a-b\"\nusers = 1",
        "6:7: `a-b` is no name of a function; a name is made of letters, digits and _",
    );
    users(
        "rate = 200",
        "6:8: `rate` is an integer; write a string such as \"10/s\"",
    );
    for wrong in [
        "200",
        "200/d",
        "1..2/s",
        "-1/s",
        "/s",
        "nan/s",
        "1e3/s",
        "1/s..",
        "1/s...2/s",
    ] {
        let text = format!("rate = \"{wrong}\"");
        users(
            &text,
            &format!(
                "6:8: `{wrong}` is no rate; write a number and /s, /m or /h, such as 10/s, or 1/s..10/s for a linear change"
            ),
        );
    }
    for wrong in ["0/s", "0/s..0/m", "100000001/s"] {
        let text = format!("rate = \"{wrong}\"");
        users(
            &text,
            &format!(
                "6:8: a rate of {wrong} cannot be kept; it must be more than 0 and at most 100000000/s"
            ),
        );
    }
}

#[test]
fn faults_of_arrivals_are_told() {
    let arrivals = |text: &str, expected: &str| {
        let head = "[[phase]]\nname = \"load\"\nduration = \"10s\"\n";
        let text = format!("{head}[phase.users.team]\narrivals = [{text}]\n");
        check(&text, &format!("scenario.toml:5:{expected}"));
    };
    arrivals(
        "",
        "12: `arrivals` is empty; write [{ at = \"0s\", users = 20 }, { from = \"2s\", rate = \"10/s\" }]",
    );
    arrivals(
        "1",
        "13: `arrivals` is an integer; write a table: { at = \"0s\", users = 20 }",
    );
    arrivals(
        "{ at = \"10s\", users = 1 }",
        "20: `at` is not before the end of the phase; make it earlier or `duration` longer",
    );
    arrivals(
        "{ at = \"1s\" }",
        "13: this arrival has no `users`; write { at = \"0s\", users = 20 }",
    );
    arrivals(
        "{ at = \"1s\", rate = \"1/s\" }",
        "26: `rate` does not go with `at`; write { at = \"0s\", users = 20 } or { from = \"2s\", to = \"30s\", rate = \"10/s\" }",
    );
    arrivals(
        "{ users = 5 }",
        "15: `users` needs `at`; write { at = \"0s\", users = 20 }",
    );
    arrivals(
        "{ from = \"1s\" }",
        "13: this arrival has no `rate`; write { from = \"2s\", to = \"30s\", rate = \"10/s\" }",
    );
    arrivals(
        "{ from = \"3s\", to = \"3s\", rate = \"1/s\" }",
        "33: `to` is not after `from`; make it later",
    );
    arrivals(
        "{ to = \"11s\", rate = \"1/s\" }",
        "20: `to` is after the end of the phase; leave it out to go on until the end",
    );
}

#[test]
fn faults_of_growth_and_score_are_told() {
    let grow = |text: &str, expected: &str| {
        let head = "score = { win = 1 }\n[[phase]]\nname = \"load\"\nduration = \"10s\"\n";
        let text = format!("{head}[phase.users.team]\n{text}\n");
        check(&text, &format!("scenario.toml:{expected}"));
    };
    grow(
        "on_score = { won = 1 }",
        "6:14: [score] has no tag `won`; did you mean `win`?",
    );
    grow(
        "on_score = { zebra = 1 }",
        "6:14: [score] has no tag `zebra`; write it there with its points, or use `win`",
    );
    grow(
        "on_score = { win = 1 }\nusers = 5\nat_most = 4",
        "8:11: `at_most` is less than the 5 `users` of the beginning; make it greater",
    );
    grow(
        "on_error = -1",
        "5:1: [phase.users.team] never has users; write `users` to begin with, or on_score = { TAG = 1 }",
    );
    grow(
        "on_score = { win = 1 }\nrate = \"1/s\"",
        "6:1: `on_score` does not go with `rate`; a kind of users has one way of load",
    );

    let score = |text: &str, expected: &str| {
        check(
            &format!("{LEAST}[score]\nwin = 1\n{text}\n"),
            &format!("scenario.toml:{expected}"),
        );
    };
    score(
        "lose = \"1\"",
        "7:8: `lose` is a string; write a table: a number or { per = 100, points = -100 }",
    );
    score("lose = nan", "7:8: `lose` is no finite number");
    score(
        "lose = 1e10",
        "7:8: `lose`: points are numbers from -1e9 to 1e9",
    );
    score(
        "lose = 0.0000001",
        "7:8: `lose`: points have at most six decimals",
    );
    score(
        "error = 50",
        "7:9: `error` would add points for something bad; write -50",
    );
    score(
        "timeout = { per = 0, points = -1 }",
        "7:19: `per` must be an integer from 1 to 1000000000",
    );
    score(
        "timeout = { per = 10 }",
        "7:11: this rule has no `points`; write a number or { per = 100, points = -100 }",
    );
    score(
        "bonus = { steps = [[1, 2]] }",
        "7:9: [score.bonus] has no `by`; write by = \"TAG OR COUNTER\"",
    );
    score(
        "bonus = { by = \"x\", steps = [] }",
        "7:29: `steps` is empty; write steps = [[60, 1.2], [120, 1.4]]",
    );
    score(
        "bonus = { by = \"x\", steps = [[2, 1], [2, 3]] }",
        "7:38: the counts of `steps` must increase; put them in order",
    );
    score(
        "bonus = { by = \"x\", steps = [[2]] }",
        "7:30: a step of the bonus is [COUNT, FACTOR], such as [60, 1.2]",
    );
    score(
        "bonus = { by = \"x\", steps = [[2, -1]] }",
        "7:34: a factor is a number from 0 to 1000",
    );
    score(
        "bonus = { by = \"x\", steps = [[1, 2]], applies_to = [\"wni\"] }",
        "7:53: [score] has no tag `wni`; did you mean `win`?",
    );
}
