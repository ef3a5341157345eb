//! What a script says of requests and replies: what is sent is exactly what it wrote, what it sees
//! is what came, and what is wrong with it is told with its line.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use support::scenario::{App, Folder, ONCE, Seen, main_of, wrongs};
use support::{Ran, side_by_side};

/// Run `main` once with `body` as its text.
#[track_caller]
fn once(app: &App, body: &str) -> Ran {
    Folder::new(ONCE, &main_of(body)).run(&app.url(), &[])
}

/// The same, which must end well; what was asked.
#[track_caller]
fn passes(body: &str) -> Vec<Seen> {
    let app = App::start();
    let ran = once(&app, body);
    assert_eq!(ran.code, 0, "{body}: {}", wrongs(&ran));
    app.seen()
}

/// Bodies of `main`, the exit code, and parts of what is said.
fn check_all(rows: Vec<(&'static str, i32, &'static [&'static str])>) {
    let app = App::start();
    side_by_side(rows, 3, |(body, code, parts)| {
        let ran = once(&app, body);
        let wrong = wrongs(&ran);
        assert_eq!(ran.code, code, "{body}: {wrong}");
        for part in parts {
            assert!(wrong.contains(part), "{body}: no `{part}` in {wrong}");
        }
    });
}

/// The request that `call` sends: its head without `Host` and `User-Agent`, and its body.
#[track_caller]
fn check_sent(call: &str, head: &str, body: &[u8]) {
    let seen = passes(call);
    let [one] = seen.as_slice() else {
        panic!("{call}: {seen:?}");
    };
    let lines: Vec<&str> = one
        .asked
        .head
        .trim_end()
        .split("\r\n")
        .filter(|line| !line.starts_with("Host: ") && !line.starts_with("User-Agent: isukit/"))
        .collect();
    assert_eq!(lines.join("|"), head, "{call}");
    assert_eq!(one.asked.body, body, "{call}");
}

#[test]
fn requests_are_sent_as_they_are_written() {
    check_sent("c:get('/')", "GET / HTTP/1.1", b"");
    check_sent("c:get('/a?b=c%20d')", "GET /a?b=c%20d HTTP/1.1", b"");
    check_sent(
        "c:get('/a', { query = { q = 'a b&=', n = 2, l = { 1, true }, f = 0.5 } })",
        "GET /a?f=0.5&l=1&l=true&n=2&q=a+b%26%3D HTTP/1.1",
        b"",
    );
    check_sent(
        "c:get('/a?x=1', { query = 'y=2' })",
        "GET /a?x=1&y=2 HTTP/1.1",
        b"",
    );
    check_sent(
        "c:get('/' .. encode('a/b \u{fc}?'))",
        "GET /a%2Fb%20%C3%BC%3F HTTP/1.1",
        b"",
    );
    check_sent(
        "c:get('/', { headers = { ['X-B'] = 1, ['X-A'] = 'x y', Accept = '*/*' } })",
        "GET / HTTP/1.1|Accept: */*|X-A: x y|X-B: 1",
        b"",
    );
    check_sent("c:head('/')", "HEAD / HTTP/1.1", b"");
    check_sent("c:delete('/')", "DELETE / HTTP/1.1", b"");
    check_sent("c:request('OPTIONS', '/')", "OPTIONS / HTTP/1.1", b"");
    check_sent("c:post('/')", "POST / HTTP/1.1|Content-Length: 0", b"");
    check_sent("c:put('/')", "PUT / HTTP/1.1|Content-Length: 0", b"");
}

#[test]
fn bodies_are_sent_as_they_are_written() {
    check_sent(
        "c:post('/', { b = 1, a = { true, 'x', 0.5 }, c = { d = {} } })",
        "POST / HTTP/1.1|Content-Type: application/json|Content-Length: 39",
        br#"{"a":[true,"x",0.5],"b":1,"c":{"d":{}}}"#,
    );
    check_sent(
        "c:patch('/', json { 1, 2 })",
        "PATCH / HTTP/1.1|Content-Type: application/json|Content-Length: 5",
        b"[1,2]",
    );
    check_sent(
        "c:put('/', json('\u{fc}'))",
        "PUT / HTTP/1.1|Content-Type: application/json|Content-Length: 4",
        "\"\u{fc}\"".as_bytes(),
    );
    check_sent(
        "c:post('/', form { b = 'x y', a = { 1, 2 }, c = true })",
        "POST / HTTP/1.1|Content-Type: application/x-www-form-urlencoded|Content-Length: 20",
        b"a=1&a=2&b=x+y&c=true",
    );
    check_sent(
        "c:post('/', 'a\\0\\xff\\r\\n')",
        "POST / HTTP/1.1|Content-Length: 5",
        b"a\0\xff\r\n",
    );
    check_sent(
        "c:post('/', '<x/>', { headers = { ['content-type'] = 'text/xml' } })",
        "POST / HTTP/1.1|content-type: text/xml|Content-Length: 4",
        b"<x/>",
    );
    check_sent(
        "c:post('/', buffer.tostring(buffer.create(3)))",
        "POST / HTTP/1.1|Content-Length: 3",
        b"\0\0\0",
    );
    check_sent(
        "c:request('DELETE', '/', 'x')",
        "DELETE / HTTP/1.1|Content-Length: 1",
        b"x",
    );
}

#[test]
fn a_scenario_has_headers_and_a_name_of_its_own() {
    let app = App::start();
    let toml = format!("user_agent = \"ours/1\"\n[headers]\nX-All = \"1\"\n{ONCE}");
    let script = main_of(
        "c:get('/a')
         c:get('/b', { headers = { ['User-Agent'] = 'call/3' } })
         local phone = u:new_client { user_agent = 'phone/2' }
         phone:get('/c')",
    );
    let ran = Folder::new(&toml, &script).run(&app.url(), &["--header", "X-More: 2"]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let agents: Vec<String> = app
        .seen()
        .iter()
        .map(|seen| seen.header("user-agent").to_owned())
        .collect();
    assert_eq!(agents, ["ours/1", "call/3", "phone/2"]);
    for seen in app.seen() {
        assert_eq!((seen.header("x-all"), seen.header("x-more")), ("1", "2"));
        assert_eq!(
            seen.header("host"),
            app.url().trim_matches('/').split_once("//").unwrap().1
        );
    }
}

#[test]
fn cookies_are_kept_by_client_path_and_time() {
    let cookies = |seen: &[Seen]| -> Vec<String> {
        let of = |seen: &Seen| seen.header("cookie").to_owned();
        seen.iter().map(of).collect()
    };
    let seen = passes(
        "local set = function(text) return { query = { h = 'Set-Cookie: ' .. text } } end
         c:get('/in/login', set('a=1; Path=/'))
         c:get('/in/login', set('b=2'))
         c:get('/in/x')
         c:get('/out')
         local other = u:new_client()
         other:get('/in/x')
         other:get('/', set('a=9; Path=/'))
         other:get('/in/x')
         c:get('/', set('a=; Path=/; Max-Age=0'))
         c:get('/in/x')
         check_equal('read', c:cookie('b'), '2')
         check_equal('read', c:cookie('a'), nil)
         c:set_cookie('z', '26')
         c:get('/out')
         c:clear_cookies()
         c:get('/in/x')
         c:get('/', set('s=1; Path=/; Max-Age=1'))
         c:get('/')
         pause(1.1)
         c:get('/')",
    );
    let expected = [
        "", "a=1", "a=1; b=2", "a=1", "", "", "a=9", "a=1", "b=2", "z=26", "", "", "s=1", "",
    ];
    assert_eq!(cookies(&seen), expected);
}

#[test]
fn replies_are_seen_as_they_came() {
    passes(
        r#"local r = c:get('/?status=201&type=text/plain&body=hello&h=X-One:%20x&h=X-Two:%20y')
        must('status', r.status == 201, r.status)
        must('body', r.body == 'hello' and r.size == 5)
        must('headers', r:header('x-one') == 'x' and r:header('X-Two') == 'y')
        must('none', r:header('x-three') == nil)
        must('text', r:ok() == 'hello')
        must('latency', r.latency > 0 and r.latency < 3)
        must('new', not r.from_cache)
        local j = c:post('/?type=application/json', '{"a":[1,2.5,"x",null],"n":null,"big":9007199254740993,"o":{"t":true}}'):ok()
        must('json', #j.a == 3 and j.a[2] == 2.5 and j.a[3] == 'x' and j.n == nil and j.o.t == true)
        must('exact', j.big == '9007199254740993', j.big)
        must('json anyway', c:post('/', '[7]'):json()[1] == 7)
        must('head', c:head('/?body=hello'):ok() == '')
        must('none', c:get('/?status=204'):ok() == '')
        must('bytes', c:post('/', 'a\0\xff'):ok() == 'a\0\xff')"#,
    );
}

#[test]
fn statuses_and_errors_are_judged_as_the_script_says() {
    check_all(vec![
        (
            "c:get('/?status=404')",
            1,
            &["status-404", "GET /?status=404: status 404"],
        ),
        (
            "c:get('/?status=404&body=gone'):ok()",
            1,
            &["status-404", "body: \"gone\""],
        ),
        (
            "local r = c:get('/?status=404') if r.status == 404 then return end",
            0,
            &[],
        ),
        ("c:get('/?status=404', { status = 404 }):ok()", 0, &[]),
        (
            "c:get('/?status=409', { status = { 200, 409 } }):ok()",
            0,
            &[],
        ),
        (
            "c:get('/?status=404', { status = 409 }):ok()",
            1,
            &["status-404"],
        ),
        ("c:get('/', { status = 404 }):ok()", 1, &["status-200"]),
        ("c:get('/?status=302'):ok()", 0, &[]),
        ("c:get('/?status=500')", 1, &["status-500"]),
        ("c:get('/?status=403'):fails(403)", 0, &[]),
        ("c:get('/?status=403&body=full'):fails(403, 'full')", 0, &[]),
        (
            "c:get('/?status=403&body=empty'):fails(403, 'full')",
            1,
            &[
                "check-failed",
                "should fail with 403 `full`, but has status 403",
            ],
        ),
        (
            "c:get('/'):fails(403)",
            1,
            &["should fail with 403, but has status 200"],
        ),
        (
            "c:get('/?status=404'):fails(403)",
            1,
            &["should fail with 403, but has status 404"],
        ),
        (
            "c:get('/?type=application/json&body=oops'):ok()",
            1,
            &["bad-message", "no JSON"],
        ),
        (
            "local good = pcall(function() c:get('/?status=500'):ok() end) must('caught', not good)",
            1,
            &["status-500"],
        ),
        (
            "must('sum', 1 + 1 == 3, 'it is 2')",
            1,
            &["check-failed: sum: it is 2"],
        ),
        ("check('sum', false)", 1, &["check-failed: sum"]),
        ("check_equal('sum', 2, 3)", 1, &["sum: is 2, should be 3"]),
        (
            "check_equal('text', 'a', nil)",
            1,
            &["text: is \"a\", should be nil"],
        ),
        (
            "must('fine', true) check_equal('fine', 'a', 'a') check('fine', 0)",
            0,
            &[],
        ),
        (
            "c:get('/?end=silent', { timeout = 0.1 })",
            1,
            &["timeout", "within 100ms"],
        ),
        (
            "c:get('/?end=silent', { timeout = '120ms' })",
            1,
            &["timeout", "within 120ms"],
        ),
        (
            "c:get('/?end=drip', { timeout = '120ms' })",
            1,
            &["timeout", "within 120ms"],
        ),
        (
            "c:get('/?end=close')",
            1,
            &[
                "closed-before-reply",
                "closed-before-reply: GET /: the connection was closed before any reply",
            ],
        ),
        ("fail('the grid is gone')", 1, &["once: the grid is gone"]),
        (
            "pcall(fail, 'the grid is gone')",
            1,
            &["once: the grid is gone"],
        ),
    ]);
}

/// Names that are not there: the line, what it is, and the nearest.
#[test]
fn wrong_names_are_told_with_their_line_and_the_nearest() {
    check_all(vec![
        (
            "c:get('/', { timout = 1 })",
            2,
            &["scenario.luau:2: `timout` is no option of a call; did you mean `timeout`?"],
        ),
        (
            "\nu:new_client { cach = true }",
            2,
            &["scenario.luau:3: `cach` is no option of a client; did you mean `cache`?"],
        ),
        (
            "u:new_client { cache = 1 }",
            2,
            &["option `cache` of a client cannot be a number"],
        ),
        (
            "poll({ evry = 1 }, function() end)",
            2,
            &["scenario.luau:2: `evry` is no option of poll"],
        ),
        (
            "score('job')",
            2,
            &["scenario.luau:2: `job` is no score tag of scenario.toml; there is none"],
        ),
        (
            "spawn('guest')",
            2,
            &["scenario.luau:2: `guest` is no kind of users of this phase"],
        ),
        (
            "feed('names')",
            2,
            &["scenario.luau:2: `names` is no feed of scenario.toml"],
        ),
        (
            "local x = P.Team",
            2,
            &["scenario.luau:2: P has no message types"],
        ),
        (
            "c:get('a')",
            2,
            &["scenario.luau:2: the path `a` does not begin with `/`"],
        ),
        ("c:get('/a b')", 2, &["use encode(...)"]),
        ("c:get()", 2, &["scenario.luau:2: a call wants a path"]),
        (
            "c:get('/', 'x')",
            2,
            &["scenario.luau:2: the options of a call are a string"],
        ),
        (
            "c:post('/', c.get)",
            2,
            &["scenario.luau:2: the body is a function"],
        ),
        (
            "c:post('/', { 1, a = 2 })",
            2,
            &["scenario.luau:2: a table is a list and has fields too"],
        ),
        (
            "c:post('/', { a = 0/0 })",
            2,
            &["scenario.luau:2: NaN has no JSON form"],
        ),
        (
            "c:get('/', { query = 'a b' })",
            2,
            &["scenario.luau:2: option `query` has a space"],
        ),
        (
            "c:get('/', { query = 'a HTTP/1.1\\r\\nX: y' })",
            2,
            &["scenario.luau:2: option `query` has a space"],
        ),
        (
            "c:request('get', '/')",
            2,
            &["scenario.luau:2: `get` is no method"],
        ),
        (
            "c:get('/', { headers = { Host = 'x' } })",
            2,
            &["the header Host is set by isukit"],
        ),
        (
            "c:set_cookie('a b', '')",
            2,
            &["scenario.luau:2: a cookie has no spaces"],
        ),
        (
            "c:get('/'):fails('x')",
            2,
            &["scenario.luau:2: fails() wants a status"],
        ),
        ("pause('soon')", 2, &["scenario.luau:2: a time: "]),
        (
            "ticker(0)",
            2,
            &["scenario.luau:2: a ticker's beat must be longer than 0"],
        ),
        (
            "random.pick {}",
            2,
            &["scenario.luau:2: there is nothing to pick from"],
        ),
        (
            "math.random(2, 1)",
            2,
            &["scenario.luau:2: math.random() wants whole numbers"],
        ),
        (
            "pool(1)",
            2,
            &["scenario.luau:2: a name is wanted, not a number"],
        ),
        (
            "pool('p'):put(nil)",
            2,
            &["scenario.luau:2: nil cannot be put into a pool"],
        ),
        (
            "pool('p'):put(c)",
            2,
            &["scenario.luau:2: an object cannot be shared"],
        ),
        (
            "c:gett('/')",
            2,
            &["scenario.luau:2: attempt to call missing method 'gett'"],
        ),
        (
            "nothing()",
            2,
            &["scenario.luau:2: attempt to call a nil value"],
        ),
        (
            "parallel(1)",
            2,
            &["scenario.luau:2: parallel() wants functions, not a"],
        ),
        (
            "within(1)",
            2,
            &["scenario.luau:2: within() wants a time and a function"],
        ),
    ]);
}

/// What is found before anything is sent.
#[test]
fn broken_folders_are_told_with_their_line() {
    let app = App::start();
    #[track_caller]
    fn check(app: &App, toml: &str, script: &str, parts: &[&str]) {
        let ran = Folder::new(toml, script).run(&app.url(), &[]);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "no `{part}` in {}", ran.stderr);
        }
    }
    let script = main_of("");
    let check = |toml: &str, script: &str, parts: &[&str]| check(&app, toml, script, parts);
    check(
        ONCE,
        "return { man = function() end }",
        &["scenario.toml:3:", "`main`", "did you mean `man`?"],
    );
    check(ONCE, "return 1", &["scenario.luau returns a number"]);
    check(ONCE, "local x = = 1", &["scenario.luau:1:"]);
    check(ONCE, "\nerror('no')", &["scenario.luau:2: no"]);
    check(
        ONCE,
        "\nwhile true do end",
        &["scenario.luau:2: the script computed for more than"],
    );
    check(
        ONCE,
        "x = 1",
        &["scenario.luau:1: `x` would be a global, which users could meet in; write local x"],
    );
    check(ONCE, "local u = ...\nreturn u.x", &["scenario.luau:2:"]);
    check(
        &ONCE.replace("time_limit", "timelimit"),
        &script,
        &["scenario.toml:4:", "did you mean `time_limit`?"],
    );
    let kind =
        "[score]\ndone = 1\n[[phase]]\nname = \"l\"\nduration = \"1s\"\n[phase.users.main]\n";
    check(
        &format!("{kind}user = 1"),
        &script,
        &["scenario.toml:7:", "did you mean `users`?"],
    );
    check(
        &format!("{kind}on_score = {{ don = 1 }}"),
        &script,
        &["scenario.toml:7:", "did you mean `done`?"],
    );
    check(
        &format!("feeds = {{ n = \"n.csv\" }}\n{ONCE}"),
        &script,
        &["scenario.toml:1:", "n.csv"],
    );
    check(
        &format!("[proto]\nerror = \"Err\"\n{ONCE}"),
        &script,
        &["scenario.toml:1:", ".proto"],
    );
    assert!(app.seen().is_empty());
}
