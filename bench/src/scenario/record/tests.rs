//! From exchanges to a script, row by row.

use super::*;

/// An exchange on a connection, `at` and a tenth of a second later, in milliseconds.
fn exchange(connection: u64, at: i64, call: &str, request: &str, reply: &str) -> Exchange {
    let (method, target) = call.split_once(' ').unwrap_or(("GET", call));
    let body = |text: &str| json(text.as_bytes()).unwrap_or(Payload::None);
    Exchange {
        connection,
        client: [127, 0, 0, 1].into(),
        server: ([127, 0, 0, 1], 8080).into(),
        began_us: at * 1_000,
        ended_us: (at + 10) * 1_000,
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        request: body(request),
        status: 200,
        set_cookies: Vec::new(),
        reply: body(reply),
    }
}

fn with_cookies(mut exchange: Exchange, sent: &str, set: &str) -> Exchange {
    if !sent.is_empty() {
        exchange
            .headers
            .push(("Cookie".to_owned(), sent.to_owned()));
    }
    if !set.is_empty() {
        exchange.set_cookies.push(format!("{set}; Path=/"));
    }
    exchange
}

fn recorded(exchanges: Vec<Exchange>) -> Recorded {
    let recording = Recording {
        name: "app.pcap".to_owned(),
        exchanges,
        ..Recording::default()
    };
    record(recording).expect("something to replay")
}

/// The functions of the script, without what is on top.
fn script(exchanges: Vec<Exchange>) -> String {
    let script = recorded(exchanges).script;
    let from = script
        .find("\n-- One user")
        .or_else(|| script.find("\n-- 2 users"));
    script[from.expect("a function") + 1..].to_owned()
}

#[track_caller]
fn has(script: &str, parts: &[&str]) {
    for part in parts {
        assert!(script.contains(part), "{part}\nis not in\n{script}");
    }
}

#[test]
fn clients_are_known_by_their_sessions() {
    let a = "session=aaaaaaaa-1";
    let all = [
        with_cookies(exchange(1, 0, "POST /login", "", ""), "", a),
        with_cookies(exchange(2, 100, "/a", "", ""), a, ""),
        exchange(1, 200, "/b", "", ""),
        exchange(3, 300, "/c", "", ""),
        exchange(3, 400, "/d", "", ""),
        exchange(4, 500, "/e", "", ""),
    ];
    let chosen: Vec<usize> = (0..all.len()).collect();
    let clients = clients::clients(&all, &chosen);
    let exchanges: Vec<_> = clients
        .iter()
        .map(|client| client.exchanges.clone())
        .collect();
    assert_eq!(exchanges, [vec![0, 1, 2], vec![3, 4], vec![5]]);
    assert!(clients.iter().all(|client| client.cookies.is_empty()));
}

#[test]
fn what_many_are_given_is_no_session() {
    let theme = "theme=dark-blue-1";
    let all = [
        with_cookies(exchange(1, 0, "/", "", ""), "", theme),
        with_cookies(exchange(2, 10, "/", "", ""), "", theme),
        with_cookies(exchange(1, 100, "/a", "", ""), theme, ""),
        with_cookies(exchange(2, 110, "/a", "", ""), theme, ""),
    ];
    assert_eq!(clients::clients(&all, &[0, 1, 2, 3]).len(), 2);
}

#[test]
fn a_session_from_before_is_set() {
    let old = "session=0123456789abcdef";
    let script = script(vec![with_cookies(exchange(1, 0, "/me", "", ""), old, "")]);
    has(
        &script,
        &["client:set_cookie(\"session\", \"0123456789abcdef\")"],
    );
}

#[test]
fn values_of_replies_are_kept() {
    let script = script(vec![
        exchange(
            1,
            0,
            "POST /teams",
            "",
            r#"{"team":{"id":4711,"token":"k3y-abc9"}}"#,
        ),
        exchange(
            1,
            1_010,
            "POST /teams/4711/members",
            r#"{"token":"k3y-abc9","age":4711}"#,
            "",
        ),
    ]);
    has(
        &script,
        &[
            "local reply = client:post(\"/teams\"):ok()",
            "local team_id = reply.team.id",
            "pause(\"1s\")",
            "client:post(`/teams/{team_id}/members`, { ",
            "token = token",
            "age = 4711",
        ],
    );
}

#[test]
fn trivial_values_stay() {
    let script = script(vec![
        exchange(
            1,
            0,
            "/a",
            "",
            r#"{"id":1,"n":500,"state":"open","ok":true}"#,
        ),
        exchange(
            1,
            100,
            "POST /b/1?limit=500",
            r#"{"filter":"open","n":1}"#,
            "",
        ),
    ]);
    has(&script, &["client:post(\"/b/1?limit=500\", { "]);
    assert!(!script.contains("`"), "{script}");
}

#[test]
fn names_that_are_made_up_are_unique() {
    let script = script(vec![
        exchange(
            1,
            0,
            "POST /signup",
            r#"{"email":"ann@example.com","password":"pw-ann"}"#,
            "{}",
        ),
        exchange(
            1,
            100,
            "POST /login",
            r#"{"email":"ann@example.com","password":"pw-ann"}"#,
            "{}",
        ),
        exchange(1, 200, "/users/ann@example.com", "", ""),
    ]);
    has(
        &script,
        &[
            "local email = u:unique(\"ann\") .. \"@example.com\"",
            "password = \"pw-ann\"",
            "client:get(`/users/{encode(email)}`, { step = \"GET /users/:email\" })",
        ],
    );
    assert_eq!(script.matches("u:unique").count(), 1);
}

#[test]
fn what_two_send_alike_is_no_name() {
    let signup = |connection, at| {
        exchange(
            connection,
            at,
            "POST /signup",
            r#"{"plan":"gold-plan"}"#,
            "{}",
        )
    };
    let script = script(vec![signup(1, 0), signup(2, 50)]);
    has(&script, &["-- 2 users", "{ plan = \"gold-plan\" }"]);
}

#[test]
fn who_logs_in_was_there_before() {
    let script = script(vec![exchange(
        1,
        0,
        "POST /api/login",
        r#"{"name":"staff"}"#,
        "{}",
    )]);
    has(&script, &["{ name = \"staff\" }"]);
}

#[test]
fn who_asks_again_polls() {
    let ask = |at, reply: &str| exchange(1, at, "POST /jobs/take", r#"{"n":0}"#, reply);
    let script = script(vec![
        ask(0, "{}"),
        ask(60, "{}"),
        ask(120, r#"{"job":{"id":31245}}"#),
        exchange(1, 200, "POST /jobs/31245/done", "", ""),
    ]);
    has(
        &script,
        &[
            "local job_id = poll({ every = \"60ms\", within = \"60s\", name = \"job_id comes\" }",
            "return reply.job and reply.job.id and reply",
            "end).job.id",
            "client:post(`/jobs/{job_id}/done`):ok()",
        ],
    );
    assert_eq!(script.matches("/jobs/take").count(), 1);
}

#[test]
fn who_invites_and_who_joins_are_one_user() {
    let (a, b) = ("session=aaaaaaaa-1", "session=bbbbbbbb-2");
    let script = script(vec![
        with_cookies(
            exchange(1, 0, "POST /teams", "", r#"{"invite":"tok-123456"}"#),
            "",
            a,
        ),
        with_cookies(
            exchange(2, 100, "POST /join", r#"{"invite":"tok-123456"}"#, ""),
            "",
            b,
        ),
        with_cookies(exchange(2, 200, "/me", "", ""), b, ""),
    ]);
    has(
        &script,
        &[
            "local client = u:new_client()\n\tlocal client_2 = u:new_client()",
            "local invite = client:post(\"/teams\"):ok().invite",
            "client_2:post(\"/join\", { invite = invite }):ok()",
            "client_2:get(\"/me\"):ok()",
        ],
    );
}

#[test]
fn the_same_again_is_a_loop_and_a_failure_is_expected() {
    let mut all: Vec<Exchange> = (0..4)
        .map(|n| exchange(1, n * 510, "/board", "", ""))
        .collect();
    let mut refused = exchange(1, 2_100, "DELETE /board", "", "");
    refused.status = 403;
    all.push(refused);
    has(
        &script(all),
        &[
            "for _ = 1, 4 do\n\t\tclient:get(\"/board\"):ok()\n\t\tpause(\"500ms\")\n\tend",
            "client:delete(\"/board\"):fails(403)",
        ],
    );
}

#[test]
fn a_reset_begins_a_part() {
    let recorded = recorded(vec![
        exchange(1, 0, "POST /initialize", "", ""),
        exchange(1, 100, "/a", "", ""),
        exchange(1, 200, "POST /initialize", "", ""),
        exchange(1, 300, "/b", "", ""),
        exchange(2, 310, "/b", "", ""),
    ]);
    let names: Vec<&str> = recorded
        .data
        .lines()
        .filter(|line| line.starts_with("name = "))
        .collect();
    assert_eq!(
        names,
        [
            "name = \"initialize\"",
            "name = \"load\"",
            "name = \"initialize 2\"",
            "name = \"load 2\""
        ]
    );
    has(
        &recorded.data,
        &["arrivals = [{ at = \"0ms\", users = 2 }]"],
    );
    assert_eq!((recorded.kinds, recorded.requests), (2, 4));
}

#[test]
fn nothing_makes_nothing() {
    assert_eq!(record(Recording::default()), None);
}

/// What a small capture becomes, to the letter.
#[test]
fn the_whole_of_a_small_capture() {
    let recorded = recorded(vec![
        exchange(
            1,
            0,
            "POST /api/items",
            r#"{"title":"lamp-3"}"#,
            r#"{"item":{"id":5120}}"#,
        ),
        exchange(1, 310, "/api/items/5120", "", r#"{"id":5120}"#),
        exchange(1, 330, "/assets/app.css", "", ""),
    ]);
    let script = recorded.script;
    let functions = &script[script.find("\n-- One").expect("a function")..];
    assert_eq!(
        functions,
        "\n-- One user did this.\n\
         local function items(u)\n\
         \tlocal client = u.client\n\
         \tlocal title = u:unique(\"lamp\")\n\
         \tlocal item_id = client:post(\"/api/items\", { title = title }):ok().item.id\n\
         \tpause(\"300ms\")\n\
         \tclient:get(`/api/items/{item_id}`):ok()\n\
         \tclient:get(\"/assets/app.css\"):ok()\n\
         end\n\n\
         return {\n\titems = items,\n}\n"
    );
    let data = recorded.data;
    assert_eq!(
        &data[data.find("target").expect("a target")..],
        "target = \"http://127.0.0.1:8080\"\n\n[timeouts]\ndefault = \"10s\"\n\n\
         [[phase]]\nname = \"load\"\nduration = \"2s\"\ndrain = \"5s\"\n\n\
         # 1 in all; each sends 3 requests or more.\n[phase.users.items]\n\
         arrivals = [{ at = \"0ms\", users = 1 }]\n"
    );
}
