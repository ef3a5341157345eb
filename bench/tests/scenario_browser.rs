//! What a script has besides requests: feeds, random numbers, names of steps, a browser's cache and
//! pages, asking again.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::Ran;
use support::scenario::{App, Folder, ONCE, Seen, main_of, wrongs};

/// Run `main` once with `body` as its text.
#[track_caller]
fn once(app: &App, body: &str) -> Ran {
    Folder::new(ONCE, &main_of(body)).run(&app.url(), &[])
}

#[test]
fn feeds_give_their_rows_and_begin_again() {
    let app = App::start();
    let toml = format!("[feeds]\nnames = \"n.csv\"\njobs = \"j.jsonl\"\n{ONCE}");
    let script = main_of(
        r#"local names, jobs = feed('names'), feed('jobs')
        must('size', #names == 3 and #jobs == 2)
        must('row', names:row(2).name == 'b, c' and names:row(2).id == '2')
        must('wraps', names:row(4).id == '1')
        must('user', u:row('names').id == '1')
        must('next', names:next().id == '1' and names:next().id == '2')
        must('next', names:next().id == '3' and names:next().id == '1')
        must('json', jobs:row(1).n == 7 and jobs:row(2).list[2] == 'y')
        local seen = {}
        for _ = 1, 100 do seen[names:random().id] = true end
        must('random', seen['1'] and seen['2'] and seen['3'])
        names:row(math.huge) names:row(-5) names:row(0/0) names:row(1.5)
        local other = names:row(1)
        other.id = 'changed'
        must('copy', names:row(1).id == '1')"#,
    );
    let folder = Folder::new(&toml, &script)
        .file("n.csv", "id,name\n1,a\n2,\"b, c\"\n3,\u{fc}\n")
        .file("j.jsonl", "{\"n\":7}\n{\"list\":[\"x\",\"y\"]}\n");
    let ran = folder.run(&app.url(), &[]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let near = Folder::new(&toml, &main_of("feed('name')"))
        .file("n.csv", "id\n1\n")
        .file("j.jsonl", "1\n");
    let ran = near.run(&app.url(), &[]);
    assert!(wrongs(&ran).contains("did you mean `names`?"), "{ran:?}");
    let broken = Folder::new(&toml, &script)
        .file("n.csv", "id\n1\n2,3\n")
        .file("j.jsonl", "1\n");
    let ran = broken.run(&app.url(), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("n.csv:3:"), "{}", ran.stderr);
}

#[test]
fn random_numbers_follow_the_seed() {
    let body = "local t = {}
        for i = 1, 5 do t[i] = math.random(1000) end
        t[6], t[7] = random.text(8), random.pick { 'a', 'b', 'c' }
        t[8] = table.concat(random.shuffle { 1, 2, 3, 4, 5 })
        t[9] = random.between(1, 2)
        must('range', t[9] >= 1 and t[9] < 2)
        must('sure', random.chance(1) and not random.chance(0))
        t[10] = u:unique('x')
        c:get('/' .. table.concat(t, '-'))";
    let path = |seed: &str| {
        let app = App::start();
        let ran = Folder::new(ONCE, &main_of(body)).run(&app.url(), &["--seed", seed]);
        assert_eq!(ran.code, 0, "{}", wrongs(&ran));
        app.seen()[0].path().to_owned()
    };
    assert_eq!(path("1"), path("1"));
    assert_ne!(path("1"), path("2"));
}

#[test]
fn steps_are_named_by_routes_and_options() {
    let app = App::start();
    let toml = "[routes]\n\"/assets/*\" = \"assets\"\n\"POST /api/teams/:id\" = \"team\"\n\
        [timeouts.routes]\n\"/api/slow\" = \"100ms\"\n\
        [[phase]]\nname = \"l\"\nduration = \"400ms\"\n[phase.users.main]\nusers = 1\n";
    let script = main_of(
        "c:get('/assets/a.css') c:get('/assets/b/c.js') c:post('/api/teams/7') c:get('/api/teams/7?x=1')
         c:get('/api/teams/8') c:get('/other', { step = 'mine' }) pcall(c.get, c, '/api/slow?end=silent') pause(9)",
    );
    let report = Folder::new(toml, &script).run(&app.url(), &[]).report();
    let steps: Vec<(String, u64)> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let name = step["name"].as_str().unwrap().to_owned();
            (name, step["requests"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("assets", 2),
        ("team", 1),
        ("GET /api/teams/:id", 2),
        ("mine", 1),
        ("GET /api/slow", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(steps, expected);
    support::check_sums(&report);
    let slow = support::samples(&report, "timeout");
    assert!(slow[0].contains("within 100ms"), "{slow:?}");
}

#[test]
fn a_cache_asks_only_for_what_may_have_changed() {
    let app = App::with(|seen| {
        let path = seen.path();
        let tag = seen.header("if-none-match");
        let since = seen.header("if-modified-since");
        let date = "Thu, 01 Jan 2026 00:00:00 GMT";
        match path {
            "/etag" if tag == "\"1\"" => {
                Some(b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n".to_vec())
            }
            "/etag" => Some(support::reply("200 OK", "ETag: \"1\"\r\n", "tagged")),
            "/dated" if since == date => Some(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
            "/dated" => Some(support::reply(
                "200 OK",
                &format!("Last-Modified: {date}\r\n"),
                "dated",
            )),
            "/fresh" => Some(support::reply(
                "200 OK",
                "Cache-Control: max-age=60\r\n",
                "fresh",
            )),
            "/private" => Some(support::reply(
                "200 OK",
                "Cache-Control: no-store\r\nETag: \"2\"\r\n",
                "p",
            )),
            _ => None,
        }
    });
    let ran = once(
        &app,
        "local b = u:new_client { cache = true }
         for _, path in { '/etag', '/dated', '/fresh', '/private' } do
            local first = b:get(path)
            must('first', not first.from_cache and first.status == 200, path)
            local second = b:get(path)
            must('again', second.status == 200 and second:ok() == first:ok(), path)
            must('cached', second.from_cache == (path ~= '/private'), path)
         end
         must('past it', not b:get('/fresh', { cache = false }).from_cache)
         c:get('/etag')
         u:new_client({ cache = true }):get('/etag')",
    );
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let asked: Vec<String> = app
        .seen()
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    let expected = [
        "/etag", "/etag", "/dated", "/dated", "/fresh", "/private", "/private", "/fresh", "/etag",
        "/etag",
    ];
    assert_eq!(asked, expected);
    let tags = app
        .seen()
        .iter()
        .filter(|seen| !seen.header("if-none-match").is_empty())
        .count();
    assert_eq!(
        tags, 1,
        "no-store is not stored, a client without a cache has none"
    );
}

#[test]
fn pages_bring_their_files_once_and_right() {
    let page = "<html><link rel=stylesheet href=/a.css><script src=b.js></script>\
        <img src=/c.png><img src=/c.png><img src=/missing></html>";
    let serve = move |wrong: &'static str, missing: bool| {
        App::with(move |seen| {
            let body = match seen.path() {
                "/page" if missing => page.to_owned(),
                "/page" => page.replace("/missing", "/c.png"),
                path @ ("/a.css" | "/b.js" | "/c.png") if path != wrong => path.to_owned(),
                "/missing" => return Some(support::reply("404 Not Found", "", "")),
                _ => "wrong".to_owned(),
            };
            Some(support::reply(
                "200 OK",
                "Content-Type: text/html\r\n",
                body,
            ))
        })
    };
    let toml = format!("[assets]\n\"/a.css\" = \"a.css\"\n\"/b.js\" = \"b.js\"\n{ONCE}");
    let folder = Folder::new(
        &toml,
        &main_of("u:new_client({ cache = true }):page('/page')"),
    )
    .file("a.css", "/a.css")
    .file("b.js", "/b.js");
    let app = serve("", false);
    let ran = folder.run(&app.url(), &[]);
    assert_eq!(ran.code, 0, "{}", wrongs(&ran));
    let mut asked: Vec<String> = app
        .seen()
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    asked.sort();
    assert_eq!(asked, ["/a.css", "/b.js", "/c.png", "/page"]);
    let report = ran.report();
    assert_eq!(report["checks"][0]["name"], "asset");
    assert_eq!(report["checks"][0]["passed"], 3);
    for (wrong, missing, part) in [
        (
            "/a.css",
            false,
            "/a.css is not the file that the scenario expects",
        ),
        ("", true, "status-404: GET /missing: status 404"),
    ] {
        let app = serve(wrong, missing);
        let ran = folder.run(&app.url(), &[]);
        assert_eq!(ran.code, 1);
        assert!(wrongs(&ran).contains(part), "{}", wrongs(&ran));
    }
    // What the scenario says nothing of only has to be there.
    let app = serve("/c.png", false);
    assert_eq!(folder.run(&app.url(), &[]).code, 0);
}

#[test]
fn a_user_asks_again_until_it_finds_something() {
    let app = App::start();
    let ran = once(
        &app,
        "local n, at = 0, now()
         local found = poll({ every = 0.05, within = 2, name = 'job' }, function()
            n += 1
            c:get('/poll')
            return n == 4 and 'found'
         end)
         must('found', found == 'found' and n == 4)
         must('paused', now() - at >= 0.15 and now() - at < 1, now() - at)
         poll({ every = '20ms', within = '100ms', name = 'never' }, function() c:get('/never') end)",
    );
    assert_eq!(ran.code, 1);
    assert!(
        wrongs(&ran).contains("never: nothing within 0.1 s"),
        "{}",
        wrongs(&ran)
    );
    let gaps: Vec<Duration> = {
        let seen = app.seen();
        let polls: Vec<&Seen> = seen.iter().filter(|seen| seen.path() == "/poll").collect();
        polls.windows(2).map(|two| two[1].at - two[0].at).collect()
    };
    assert!(
        gaps.iter().all(|gap| *gap >= Duration::from_millis(45)),
        "{gaps:?}"
    );
}
