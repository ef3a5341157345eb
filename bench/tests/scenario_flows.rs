//! What users do at once and together: parallel flows, deadlines, rhythms, and what users share
//! across threads.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use support::scenario::{App, Folder, ONCE, main_of, wrongs};
use support::{MARGIN, count};

#[track_caller]
fn passes(body: &str) -> App {
    let app = App::start();
    let ran = Folder::new(ONCE, &main_of(body)).run(&app.url(), &[]);
    assert_eq!(ran.code, 0, "{body}: {}", wrongs(&ran));
    app
}

#[track_caller]
fn fails(body: &str, code: i32, part: &str) {
    let app = App::start();
    let ran = Folder::new(ONCE, &main_of(body)).run(&app.url(), &[]);
    assert_eq!(ran.code, code, "{body}: {}", wrongs(&ran));
    assert!(wrongs(&ran).contains(part), "{body}: {}", wrongs(&ran));
}

#[test]
fn parallel_calls_are_open_at_the_same_time() {
    passes(
        "local at = now()
         local a, b, n = parallel(
            function() return c:get('/?delay=200&body=a'):ok() end,
            function() return c:get('/?delay=200&body=b'):ok() end,
            function() end)
         if a == nil then error('parallel returns nothing') end
         must('took one', now() - at < 0.38, now() - at)",
    );
    // Six connections: the seventh call waits for one of them.
    let app = passes(
        "local at, calls = now(), {}
         for i = 1, 7 do calls[i] = function() c:get('/?delay=150&n=' .. i):ok() end end
         parallel(table.unpack(calls))
         must('took two', now() - at >= 0.3 and now() - at < 0.6, now() - at)",
    );
    assert_eq!(app.accepted(), 6);
}

#[test]
fn the_limit_on_connections_is_the_scenarios() {
    let app = App::start();
    let toml = format!("[limits]\nconnections = 2\n{ONCE}");
    let script = main_of(
        "local calls = {}
         for i = 1, 10 do calls[i] = function() c:get('/?delay=20&n=' .. i):ok() end end
         parallel(table.unpack(calls))
         local other = u:new_client()
         other:get('/')",
    );
    let ran = Folder::new(&toml, &script).run(&app.url(), &[]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    assert_eq!((app.seen().len(), app.accepted()), (11, 3));
}

#[test]
fn a_failure_ends_its_parallel_when_the_others_are_done() {
    // What fails in a flow is counted there; whoever waits may go on all the same.
    fails(
        "local done = false
         local good = pcall(parallel, function() must('one', false) end, function() pause(0.1) done = true end)
         if not good and done then fail('both are over') end",
        1,
        "once: both are over",
    );
}

#[test]
fn spawned_flows_go_on_by_themselves_and_end_with_their_user() {
    let app = passes(
        "local log = {}
         spawn(function() pause(0.05) c:get('/spawned') table.insert(log, 'b') end)
         table.insert(log, 'a')
         pause(0.2)
         must('order', table.concat(log) == 'ab', table.concat(log))
         spawn(function() pause(0.2) c:get('/late') end)",
    );
    let paths: Vec<String> = app.seen().iter().map(|s| s.path().to_owned()).collect();
    assert_eq!(paths, ["/spawned"]);
    fails(
        "spawn(function() error('oops') end) pause(0.1)",
        2,
        "scenario.luau:2: oops",
    );
}

#[test]
fn a_deadline_ends_the_flow_and_what_it_waits_for() {
    passes(
        "must('value', within(1, function() return 7 end) == 7)
         local went_on = false
         local at = now()
         local good, what = pcall(within, 0.1, function()
            parallel(function() pause(5) end, function() within(4, function() pause(3) went_on = true end) end)
            went_on = true
         end)
         must('late', not good and string.find(tostring(what), 'not done within its time') ~= nil, what)
         must('soon', now() - at < 0.3, now() - at)
         pause(0.1)
         must('over', not went_on)
         must('again', within('1s', function() pause(0.01) return 'x' end) == 'x')",
    );
    fails(
        "within(0.05, function() pause(1) end)",
        1,
        "scenario.luau:2: not done within its time",
    );
    fails(
        "within(0.05, function() c:get('/?end=silent') end)",
        1,
        "not done within its time",
    );
    fails(
        "within(1, function() error('inside') end)",
        2,
        "scenario.luau:2: inside",
    );
}

#[test]
fn a_ticker_keeps_its_rhythm_and_skips_what_is_past() {
    passes(
        "local at, tick = now(), ticker(0.1)
         tick()
         pause(0.03)
         tick()
         must('on the beat', now() - at >= 0.2 and now() - at < 0.27, now() - at)
         pause(0.25)
         tick()
         must('skipped', now() - at >= 0.5 and now() - at < 0.57, now() - at)
         pause_until(at + 0.6)
         must('until', now() - at >= 0.6 and now() - at < 0.67, now() - at)
         pause_until(at)
         pause(-1)
         pause('20ms')
         must('clock', clock() > 1.6e9)",
    );
}

/// A phase with users that each act once and then stay.
fn load(kinds: &[(&str, usize)], duration: &str) -> String {
    let mut toml =
        format!("[[phase]]\nname = \"load\"\nduration = \"{duration}\"\ndrain = \"1s\"\n");
    for (kind, users) in kinds {
        toml.push_str(&format!("[phase.users.{kind}]\nusers = {users}\n"));
    }
    toml
}

#[track_caller]
fn report_of(toml: &str, script: &str, args: &[&str]) -> (App, Value) {
    let app = App::start();
    let ran = Folder::new(toml, script).run(&app.url(), args);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    support::check_sums(&ran.report());
    (app, ran.report())
}

#[test]
fn signals_reach_users_on_all_threads() {
    let script = "return {
        waiter = function(u)
            must('none', wait_for('never', 0.05) == false)
            must('raised', wait_for('go') == true)
            must('still', wait_for('go', 0) == true and signalled('go') and not signalled('never'))
            u.client:get('/went')
            pause(9)
        end,
        caller = function(u) pause(0.2) u.client:get('/calls') signal('go') pause(9) end,
    }";
    for threads in ["1", "2"] {
        let toml = load(&[("waiter", 6), ("caller", 1)], "700ms");
        let (app, report) = report_of(&toml, script, &["--threads", threads]);
        let seen = app.seen();
        assert_eq!(seen.len(), 7, "{threads} threads: {report:#}");
        assert_eq!(seen[0].path(), "/calls");
        let last = seen.iter().map(|seen| seen.at).max().unwrap();
        assert!(last - seen[0].at < Duration::from_millis(150), "{threads}");
    }
}

#[test]
fn nothing_in_a_pool_is_lost_or_taken_twice() {
    let script = "return {
        giver = function(u)
            for i = 1, 50 do
                pool('p'):put { id = u.number * 1000 + i }
                if i % 7 == 0 then pause(0.002) end
            end
            counter('given'):add(1)
            pause(9)
        end,
        taker = function(u)
            while true do
                local item = pool('p'):take(random.between(0.001, 0.05))
                if item then u.client:get('/took?id=' .. item.id) end
            end
        end,
    }";
    for threads in ["1", "2"] {
        let toml = load(&[("giver", 4), ("taker", 10)], "900ms");
        let (app, _) = report_of(&toml, script, &["--threads", threads]);
        let mut taken = HashMap::new();
        for seen in app.seen() {
            *taken.entry(seen.query("id").unwrap()).or_insert(0) += 1;
        }
        assert!(taken.values().all(|times| *times == 1), "{taken:?}");
        assert_eq!(taken.len(), 200, "{threads} threads");
    }
}

#[test]
fn who_waits_for_a_pool_times_out_or_gets_the_next() {
    passes(
        "local p, at = pool('p'), now()
         must('nothing', p:take(0.1) == nil and now() - at >= 0.1 and p:take() == nil)
         spawn(function() pause(0.05) p:put('a') p:put('b') end)
         must('first', p:take(1) == 'a')
         must('second', p:take() == 'b' and p:size() == 0)
         p:put { list = { 1, 2 }, t = { x = true } }
         must('looked at', p:size() == 1 and p:pick().t.x == true and #p:all() == 1)
         local got = p:take()
         must('whole', got.list[2] == 2 and got.t.x)
         must('none', p:pick() == nil and #p:all() == 0)",
    );
}

/// Users that waited when their phase ended must not stand in line before those of the next one.
#[test]
fn a_phase_leaves_nobody_in_line() {
    let mut toml = load(&[("waiter", 5)], "200ms");
    toml.push_str(&load(&[("late", 1), ("giver", 1)], "600ms").replace("\"load\"", "\"next\""));
    let script = "return {
        waiter = function(u) pool('p'):take(9) wait_for('s') error('nothing came') end,
        late = function(u)
            must('took', pool('p'):take(0.4) == 'x')
            must('heard', wait_for('s', 0.4))
            u.client:get('/took')
            pause(9)
        end,
        giver = function(u) pause(0.1) pool('p'):put('x') pause(0.05) signal('s') pause(9) end,
    }";
    for threads in ["1", "2"] {
        let (app, _) = report_of(&toml, script, &["--threads", threads]);
        assert_eq!(app.seen().len(), 1, "{threads} threads");
    }
}

#[test]
fn counters_values_and_ids_are_everybodys() {
    let script = "return {
        reader = function(u)
            for i = 1, 100 do counter('n'):add() end
            counter('half'):add(0.5)
            shared('top'):raise_to(u.number)
            if once('first') then u.client:get('/first') end
            for i = 1, 20 do if once('id' .. i) then counter('ids'):add() end end
            shared('who'):set { number = u.number }
            pause(0.2)
            must('all', counter('n'):get() == 800, counter('n'):get())
            must('half', counter('half'):get() == 4)
            must('top', shared('top'):get() == 7)
            must('ids', counter('ids'):get() == 20)
            must('one', shared('who'):get().number >= 0)
            must('none', shared('nobody'):get() == nil)
            u.client:get('/done')
            pause(9)
        end,
    }";
    for threads in ["1", "2"] {
        let (app, _) = report_of(
            &load(&[("reader", 8)], "500ms"),
            script,
            &["--threads", threads],
        );
        let first = app.seen().iter().filter(|s| s.path() == "/first").count();
        assert_eq!((first, app.seen().len()), (1, 9), "{threads} threads");
    }
}

#[test]
fn feeds_share_their_next_row() {
    let rows: String = (0..50).map(|n| format!("{n}\n")).collect();
    let script = "return { main = function(u)
        for i = 1, 5 do u.client:get('/?n=' .. feed('n'):next().n) end
        pause(9)
    end }";
    let toml = format!(
        "feeds = {{ n = \"n.csv\" }}\n{}",
        load(&[("main", 10)], "500ms")
    );
    let app = App::start();
    let folder = Folder::new(&toml, script).file("n.csv", format!("n\n{rows}"));
    let ran = folder.run(&app.url(), &["--threads", "2"]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let mut seen: Vec<u32> = app
        .seen()
        .iter()
        .map(|seen| seen.query("n").unwrap().parse().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u32>>());
}

#[test]
fn users_of_other_kinds_can_be_asked_for() {
    let toml = "[score]\nnever = 1\n[[phase]]\nname = \"load\"\nduration = \"500ms\"\n\
        [phase.users.main]\nusers = 1\n\
        [phase.users.guest]\non_score = { never = 1 }\nat_most = 4\n";
    let script = "return {
        main = function(u) spawn('guest') pause(0.1) spawn('guest', 2) pause(0.1) spawn('guest', 1e9) pause(9) end,
        guest = function(u) u.client:get('/guest?n=' .. u.number) pause(9) end,
    }";
    for threads in ["1", "2"] {
        let (app, report) = report_of(toml, script, &["--threads", threads]);
        let mut numbers: Vec<String> = app.seen().iter().map(|s| s.query("n").unwrap()).collect();
        numbers.sort();
        assert_eq!(numbers, ["0", "1", "2", "3"], "{threads} threads");
        assert_eq!(count(&report, "/users/most"), 5);
    }
}

#[test]
fn flows_have_a_limit_that_leaves_the_others_whole() {
    // The ones that were begun before the limit was met must not answer for those after it.
    passes(
        "local many = {}
         for i = 1, 1200 do many[i] = function() pause(0.05) return i end end
         local good, what = pcall(function() parallel(table.unpack(many)) end)
         must('too many', not good and string.find(tostring(what), '1000 flows') ~= nil, what)
         local waited = false
         parallel(function() pause(0.3) waited = true end)
         must('waited', waited)",
    );
}

/// Whatever needs no waiting must not keep the shard from its clock.
#[test]
fn loops_that_never_wait_end_with_their_phase() {
    let loops = [
        "parallel()",
        "parallel(function() end)",
        "pause(0)",
        "within(1, function() end)",
        "pool('p'):put(1) pool('p'):take(1)",
        "signal('s') wait_for('s')",
        "b:get('/fresh')",
        "pcall(c.get, c, 'no path')",
        "pcall(parallel, 1)",
        "c:get('/')",
    ];
    support::side_by_side(loops.to_vec(), 2, |body| {
        let app = App::with(|seen| match seen.path() {
            "/fresh" => Some(support::reply(
                "200 OK",
                "Cache-Control: max-age=60\r\n",
                "",
            )),
            _ => None,
        });
        let script = format!(
            "return {{
                main = function(u)
                    local c, b = u.client, u:new_client {{ cache = true }}
                    while true do {body} end
                end,
                other = function(u) while true do u.client:get('/other') pause(0.01) end end,
            }}"
        );
        let toml = load(&[("main", 1), ("other", 1)], "400ms").replace("1s", "0s");
        let ran = Folder::new(&toml, &script).run(&app.url(), &["--threads", "1"]);
        assert!(
            ran.took < Duration::from_millis(400) + MARGIN,
            "{body}: {:?}",
            ran.took
        );
        let report = ran.report();
        let others = app.seen().iter().filter(|s| s.path() == "/other").count();
        assert!(
            others >= 2,
            "{body}: the other user was kept waiting: {others} {report:#}"
        );
    });
}
