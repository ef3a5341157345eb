//! The same contest gives the same replies, whatever is fixed and whichever database has the data.

use contest_target::{Location, Options};

use crate::client::{Visitor, send};
use crate::flow;
use crate::in_process::Server;
use crate::mariadb::MariaDb;

const FIXES: [&str; 5] = ["none", "index", "nplus1", "cache", "all"];

fn play(fix: &str, database: Option<Location>) -> Vec<String> {
    let server = Server::start(Options {
        database,
        fixes: fix.parse().unwrap(),
        ..Options::default()
    });
    flow::play(server.address)
}

#[test]
fn fixes_change_no_reply() {
    let unfixed = play("none", None);
    assert!(unfixed.len() > 40, "{}", unfixed.len());
    for fix in &FIXES[1..] {
        for (line, expected) in play(fix, None).iter().zip(&unfixed) {
            assert_eq!(line, expected, "with --fix {fix}");
        }
    }
}

#[test]
fn mariadb_gives_the_same_replies() {
    let mariadb = MariaDb::start(&[]);
    let location: Location = mariadb.url().parse().unwrap();
    let expected = play("none", None);
    for fix in FIXES {
        let lines = play(fix, Some(location.clone()));
        for (line, expected) in lines.iter().zip(&expected) {
            assert_eq!(line, expected, "with --fix {fix}");
        }
    }
    crate::rules::hold(Some(location.clone()));
    crate::processes::no_job_is_given_out_twice(&mariadb.url());
    refuses_a_slow_log(location);
}

fn refuses_a_slow_log(location: Location) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = runtime.block_on(contest_target::Portal::open(Options {
        database: Some(location),
        slow_log: Some(folder.path().join("slow.log")),
        ..Options::default()
    }));
    let refused = opened.unwrap_err().to_string();
    assert!(refused.contains("slow_query_log_file"), "{refused}");
}

#[test]
fn initialize_forgets_and_is_fast() {
    let server = Server::start(Options::default());
    let mut ann = Visitor::signed_up(server.address, "ann");
    let began = std::time::Instant::now();
    let headers = [("Content-Type", crate::client::PROTOBUF)];
    for _ in 0..2 {
        let reply = send(server.address, "POST", "/initialize", &headers, &[]);
        assert_eq!(reply.status, 200);
    }
    assert!(began.elapsed().as_secs() < 6, "{:?}", began.elapsed());
    let session: contest_target::messages::SessionResponse = ann.get("/api/session").unwrap();
    assert_eq!(session.contestant_id, "");
    assert_eq!(session.contest.unwrap().team_capacity, 300);
}
