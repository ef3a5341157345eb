//! Scripts reach nothing but their target, users meet nowhere but where they are meant to, and
//! nothing that a script makes up brings the process down.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use support::scenario::{App, Folder, ONCE, main_of, wrongs};
use support::side_by_side;

#[track_caller]
fn passes(body: &str) {
    let app = App::start();
    let ran = Folder::new(ONCE, &main_of(body)).run(&app.url(), &[]);
    assert_eq!(ran.code, 0, "{body}: {}", wrongs(&ran));
}

#[test]
fn what_reaches_out_is_not_there() {
    for name in [
        "os",
        "io",
        "require",
        "loadstring",
        "load",
        "loadfile",
        "dofile",
        "getfenv",
        "setfenv",
        "debug",
        "coroutine",
        "collectgarbage",
        "gcinfo",
        "newproxy",
        "package",
        "vector",
        "ffi",
        "jit",
        "math.randomseed",
        "string.dump",
    ] {
        passes(&format!("must('absent', {name} == nil)"));
    }
}

#[test]
fn what_is_everybodys_cannot_be_changed() {
    const FIXED: &str = "attempt to modify a readonly table";
    let rows = vec![
        ("x = 1", "scenario.luau:2: `x` would be a global"),
        ("check = 1", "scenario.luau:2: "),
        ("_G.x = 1", "scenario.luau:2: "),
        ("string.rep = nil", FIXED),
        ("string.x = 1", FIXED),
        ("math.random = function() return 4 end", FIXED),
        ("table.insert(math, 1)", FIXED),
        ("random.pick = nil", FIXED),
        ("rawset(_G, 'x', 1)", FIXED),
        ("rawset(string, 'x', 1)", FIXED),
        ("rawset(u, 'name', 'x')", FIXED),
        ("getmetatable('').__index = {}", ""),
        ("setmetatable(string, {})", ""),
        ("setmetatable(_G, {})", ""),
        ("setmetatable(u, {})", ""),
        ("getmetatable(u).__index = {}", FIXED),
        ("getmetatable(c).get = print", FIXED),
        ("u.number = 7", FIXED),
        ("c._id = 7", FIXED),
        ("pool('p').name = 'q'", FIXED),
        ("table.clear(string)", FIXED),
        ("P.x = 1", "scenario.luau:2: P holds"),
        ("rawset(P, 'Team', 1)", ""),
        ("setmetatable(P, {})", ""),
    ];
    let app = App::start();
    side_by_side(rows, 3, |(body, said)| {
        // Whatever one user does to it, the next one finds it whole.
        let script = format!(
            "return {{
                main = function(u) local c = u.client
                {body} end,
                next = function(u)
                    must('strings', ('x'):rep(2) == 'xx' and string.x == nil and x == nil)
                    must('numbers', math.random() < 1 and type(random.pick({{ 1 }})) == 'number')
                    must('user', u.name == 'next-0' and u.number == 0 and u.client:get('/').status == 200)
                end,
            }}"
        );
        for function in ["main", "next"] {
            let mut toml = ONCE.replace("\"main\"", &format!("\"{function}\""));
            if function == "next" {
                // In one run, one after the other, on one interpreter.
                toml = "[[phase]]\nname = \"first\"\nduration = \"100ms\"\n[phase.users.main]\nusers = 1\n\
                    [[phase]]\nname = \"next\"\nrun = \"next\"\n".to_owned();
            }
            let ran = Folder::new(&toml, &script).run(&app.url(), &["--threads", "1"]);
            let wrong = wrongs(&ran);
            if function == "main" {
                assert_eq!(ran.code, 2, "{body}: {wrong}");
                assert!(
                    wrong.contains("scenario.luau:2:") || wrong.contains("scenario.luau:3:"),
                    "{body}: {wrong}"
                );
                assert!(
                    wrong.contains(&said.replace("luau:2:", "luau:3:")),
                    "{body}: no `{said}` in {wrong}"
                );
            } else {
                assert_eq!(
                    ran.report()["phases"][1]["result"],
                    "done",
                    "{body}: {wrong}"
                );
            }
        }
    });
}

#[test]
fn users_do_not_see_each_others_locals() {
    let app = App::start();
    let toml = "[[phase]]\nname = \"load\"\nduration = \"400ms\"\n[phase.users.main]\nusers = 5\n";
    let script = "local seen, names = 0, {}
        local function note(name) seen += 1 names[name] = true end
        return { main = function(u)
            note(u.name)
            pause(0.02)
            must('alone', seen == 1 and names[u.name] and next(names, next(names)) == nil, seen)
            u.client:get('/?n=' .. u.number)
            pause(9)
        end }";
    for threads in ["1", "2"] {
        app.forget();
        let ran = Folder::new(toml, script).run(&app.url(), &["--threads", threads]);
        assert_eq!((ran.code, &*wrongs(&ran)), (0, ""));
        assert_eq!(app.seen().len(), 5);
    }
}

/// A client, a message or a pool that a script makes up is refused or harmless.
#[test]
fn what_is_made_up_brings_nothing_down() {
    let objects = [
        "nil",
        "true",
        "1",
        "'x'",
        "{}",
        "function() end",
        "c",
        "u",
        "P",
        "pool('p')",
        "r",
        "v",
        "{ _id = 1e300 }",
        "{ _id = -1 }",
        "{ _id = 0/0 }",
        "{ _id = 'x' }",
        "{ _id = 3 }",
        "{ name = 1 }",
        "setmetatable({}, { __index = function() error('x') end })",
        "setmetatable({ _id = 0 }, getmetatable(c))",
        "buffer.create(4)",
        "P.Team",
        "P.Team {}",
        "json {}",
        "math.huge",
        "-1e300",
        "0/0",
        "('x'):rep(1e5)",
        "'\\xff\\0'",
        "2 ^ 53",
        "-0.5",
    ];
    // What each is given to, in all places.
    let calls = [
        "c.get(x, '/')",
        "c.get(c, x)",
        "c.get(c, '/', x)",
        "c.post(c, '/', x)",
        "c.request(c, x, '/')",
        "c.cookie(x, 'a')",
        "c.cookie(c, x)",
        "c.set_cookie(c, x, x)",
        "c.set_cookie(x, 'a', 'b')",
        "c.clear_cookies(x)",
        "c.asset(c, x)",
        "c.page(x, '/')",
        "c.get(c, '/', { headers = x })",
        "c.get(c, '/', { headers = { A = x } })",
        "c.get(c, '/', { query = x })",
        "c.get(c, '/', { query = { a = x } })",
        "c.get(c, '/', { timeout = x })",
        "c.get(c, '/', { status = x })",
        "c.get(c, '/', { status = { x } })",
        "c.get(c, '/', { step = x })",
        "c.get(c, '/', { reply = x })",
        "c.get(c, '/', { cache = x })",
        "c.get(c, '/', { [x] = 1 })",
        "u.new_client(u, x)",
        "u.new_client(u, { cache = x })",
        "u.new_client(u, { user_agent = x })",
        "u.unique(u, x)",
        "u.row(u, x)",
        "parallel(x)",
        "parallel(x, x)",
        "spawn(x)",
        "spawn('main', x)",
        "within(x, x)",
        "within(0.01, x)",
        "within(x, function() end)",
        "poll(x, x)",
        "poll({ every = x, within = 0.01 }, function() end)",
        "poll({ every = 0.01, within = x }, function() return 1 end)",
        "poll({ within = 0.01, name = x }, function() end)",
        "ticker(x)",
        "wait_for(x, 0)",
        "wait_for('s', x)",
        "signal(x)",
        "signalled(x)",
        "pool(x)",
        "pool('p'):put(x)",
        "pool('p'):take(x)",
        "getmetatable(pool('p')).__index.put(x, 1)",
        "getmetatable(pool('p')).__index.take(x, 0)",
        "counter(x)",
        "counter('c'):add(x)",
        "shared('s'):set(x)",
        "shared('s'):raise_to(x)",
        "once(x)",
        "feed(x)",
        "random.pick(x)",
        "random.chance(x)",
        "random.between(x, x)",
        "random.text(x)",
        "random.shuffle(x)",
        "math.random(x)",
        "math.random(x, x)",
        "math.random(1, x)",
        "score(x)",
        "score('a', x)",
        "check(x, x, x)",
        "must(x, x, x)",
        "check_equal(x, x, x)",
        "check_equal('n', x, r)",
        "fail(x)",
        "log(x)",
        "json(x)",
        "form(x)",
        "form { a = x }",
        "form { [x] = 1 }",
        "encode(x)",
        "has(x, 'id')",
        "has(v, x)",
        "which(x, 'o')",
        "which(v, x)",
        "P[x]",
        "P.Team(x)",
        "P.Team { name = x }",
        "P.Team { [x] = x }",
        "P.Team { members = x }",
        "P.Team { members = { x } }",
        "P.Team { scores = { [x] = x } }",
        "P.Team { scores = x }",
        "r.ok(x)",
        "r:ok(x)",
        "r:fails(x)",
        "r:fails(404, x)",
        "r:as(x)",
        "r:header(x)",
        "r[x]",
        "r.x = x",
        "v[x]",
        "v.members[x]",
        "v.scores[x]",
        "v.x = x",
        "tostring(x)",
        "r == x",
        "v == x",
        "error(x)",
        "try(x)",
        "try(error, x)",
        "pcall(x)",
        "pause_until(x)",
        "#v.members",
        "P.Team.Inner(x)",
    ];
    const PROTO: &str = "syntax = \"proto3\"; package t; message Team { message Inner {} \
        string name = 1; repeated Inner members = 2; map<string, int32> scores = 3; oneof o { int32 a = 4; } }";
    let app = App::start();
    let toml = format!("[score]\na = 1\n[limits]\nmemory = \"64M\"\n{ONCE}");
    side_by_side(objects.to_vec(), 2, |object| {
        let mut body = String::from(
            "local r = c:post('/?type=application/vnd.google.protobuf;proto%3Dt.Team', P.Team { scores = { a = 1 } })
             local v = r:ok()
             local function give(what, call, x)
                parallel(function() pcall(within, 0.05, function() call(x) end) end)
                counter('calls'):add()
                if signalled('never') then log(what) end
             end\n",
        );
        for call in calls {
            // `fail` ends the run, as it should.
            if call == "fail(x)" && object.starts_with('\'') || call.starts_with("fail") {
                continue;
            }
            let is_value = call.contains('=') && !call.contains('{') && !call.contains("==");
            let statement = if is_value || call.ends_with(')') && !call.contains("==") {
                call.to_owned()
            } else {
                format!("local _ = {call}")
            };
            body.push_str(&format!(
                "give([=[{call}]=], function(x) {statement} end, {object})\n"
            ));
        }
        body.push_str(&format!(
            "must('all', counter('calls'):get() >= {})\nc:get('/end')",
            calls.len() - 1
        ));
        let ran = Folder::new(&toml.replace("5s", "20s"), &main_of(&body))
            .file("t.proto", PROTO)
            .run(&app.url(), &["--threads", "1"]);
        // Most of it is refused, which counts as the script's mistakes: but it goes on.
        assert!((0..=2).contains(&ran.code), "{object}: {ran:?}");
        support::check_sums(&ran.report());
        let why = wrongs(&ran);
        assert!(
            !why.contains("all: ") && !why.contains("not done within"),
            "{object}: {why}"
        );
    });
    let ends = app
        .seen()
        .iter()
        .filter(|seen| seen.path() == "/end")
        .count();
    assert_eq!(ends, objects.len());
}
