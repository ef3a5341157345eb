//! Users that do everything at once, at random: every request is counted once, whatever becomes of
//! the flow that made it.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::scenario::{App, Folder, wrongs};
use support::{MARGIN, check_sums, count, side_by_side};

const TOML: &str = "[score]\ngot = 1\n[limits]\nconnections = 3\n\
    [[phase]]\nname = \"warm-up\"\nduration = \"200ms\"\ndrain = \"100ms\"\ncounts = false\n\
    [phase.users.main]\nusers = 10\n\
    [[phase]]\nname = \"load\"\nduration = \"700ms\"\nstop_new = \"100ms\"\ndrain = \"200ms\"\n\
    [phase.users.main]\nusers = 10\n\
    [phase.users.walker]\nramp = [{ over = \"200ms\", users = 8 }, { over = \"200ms\", users = 1 }]\n\
    [phase.users.guest]\non_score = { got = 1 }\non_error = -1\nusers = 2\nat_most = 20\n\
    [phase.users.rate]\nrate = \"100/s\"\nmax_users = 5\n";

const SCRIPT: &str = "
local actions
local function some(u, depth)
    if depth > 3 then pause(0.001) return end
    pcall(random.pick(actions), u, depth + 1)
end
actions = {
    function(u) u.client:get('/ok') score('got') end,
    function(u) u.client:get('/ok?delay=5'):ok() end,
    function(u) u.client:get('/no?status=500') end,
    function(u) u.client:get('/no?status=404'):ok() end,
    function(u) u.client:get('/slow?delay=60', { timeout = random.between(0.001, 0.1) }) end,
    function(u) u.client:get('/silent?end=silent', { timeout = 0.02 }) end,
    function(u) u.client:get('/close?end=close') end,
    function(u, d) within(random.between(0, 0.03), function() some(u, d) some(u, d) u.client:get('/slow?delay=20') end) end,
    function(u, d) parallel(function() some(u, d) end, function() some(u, d) end, function() some(u, d) end) end,
    function(u, d) spawn(function() some(u, d) u.client:get('/ok?delay=3') end) pause(random.between(0, 0.01)) end,
    function(u, d) local c = u:new_client { cache = true } c:get('/fresh') c:get('/fresh') c:get('/etag') end,
    function(u) pool('p'):put { n = u.number } end,
    function(u) pool('p'):take(random.between(0, 0.02)) end,
    function(u) wait_for('late', random.between(0, 0.02)) if random.chance(0.01) then signal('late') end end,
    function(u) spawn('guest') end,
    function(u) error('oops') end,
    function(u) check('coin', random.chance(0.5)) end,
    function(u) pause(0) parallel() end,
    function(u) u.client:get('/bad header?h=no') end,
    function(u) u.client:post('/echo', { n = 1 }):json() end,
}
local function act(u) for i = 1, 5 do some(u, 1) end end
return { main = act, walker = act, guest = act, rate = act }";

#[test]
fn every_request_of_a_storm_is_counted_once() {
    let runs: Vec<(u32, &str)> = (1..=6).zip(["1", "2", "3"].into_iter().cycle()).collect();
    side_by_side(runs, 2, |(seed, threads)| {
        let app = App::with(|seen| match seen.path() {
            "/fresh" => Some(support::reply(
                "200 OK",
                "Cache-Control: max-age=60\r\n",
                "",
            )),
            "/etag" => Some(support::reply("200 OK", "ETag: \"1\"\r\n", "")),
            _ => None,
        });
        let (seed, folder) = (seed.to_string(), Folder::new(TOML, SCRIPT));
        let events = format!("{}/events", folder.path());
        let args = ["--seed", &seed, "--threads", threads, "--events", &events];
        let ran = folder.run(&app.url(), &args);
        let what = format!("seed {seed}, {threads} threads");
        assert!(
            ran.took < Duration::from_millis(1_200) + MARGIN,
            "{what}: {:?}",
            ran.took
        );
        // The script's own mistakes are all caught.
        assert_eq!(ran.code, 0, "{what}: {}", wrongs(&ran));
        let report = ran.report();
        check_sums(&report);
        let lines = std::fs::read_to_string(&events).unwrap().lines().count() as u64 - 1;
        assert_eq!(lines, count(&report, "/requests"), "{what}");
        let phases = report["phases"].as_array().unwrap();
        let requests: u64 = phases
            .iter()
            .map(|phase| phase["requests"].as_u64().unwrap())
            .sum();
        let seen = app.seen().len() as u64;
        assert!(seen > 200, "{what}: {seen}");
        // Some were cut before they were sent, or while they were.
        let cut: u64 = phases
            .iter()
            .map(|phase| phase["timeouts"].as_u64().unwrap())
            .sum();
        assert!(
            seen <= requests && requests <= seen + cut,
            "{what}: {seen} {requests} {cut}"
        );
        let score = report["score"].as_f64().unwrap();
        let steps = report["steps"].as_array().unwrap();
        let got = steps.iter().find(|step| step["name"] == "GET /ok").unwrap();
        assert!(score <= got["requests"].as_f64().unwrap(), "{what}");
    });
}
