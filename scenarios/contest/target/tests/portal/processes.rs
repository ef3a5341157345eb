//! Web and workers as processes of their own, over one database.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use contest_target::messages::*;
use rustix::process::Signal;

use crate::client::{PROTOBUF, Visitor, send};
use crate::server::Process;

/// Teams, each with one job at a time.
const TEAMS: usize = 8;
/// Jobs in all.
const JOBS: usize = 80;

#[test]
fn no_job_is_given_out_twice_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("contest.db").display());
    no_job_is_given_out_twice(&database);
}

/// Four workers at a process of their own, and teams that enqueue at the other one.
pub(crate) fn no_job_is_given_out_twice(database: &str) {
    let environment = [("CONTEST_DATABASE", database)];
    let mut web = Process::start(&["--role", "web", "--fix", "cache"], &environment);
    let (request, mut root) = (InitializeRequest::default(), Visitor::new(web.address));
    let _: InitializeResponse = root.post("/initialize", &request).unwrap();
    let mut api = Process::start(&["--role", "api", "--db-threads", "4"], &environment);
    roles(&web, &api);
    let left = AtomicUsize::new(JOBS);
    let given = std::thread::scope(|scope| {
        for team in 0..TEAMS {
            let (left, address) = (&left, web.address);
            scope.spawn(move || enqueue(Visitor::signed_up(address, &format!("t{team}")), left));
        }
        let workers = (0..4).map(|_| {
            let (left, worker) = (&left, Visitor::new(api.address));
            scope.spawn(move || work(worker, left))
        });
        let workers = workers.collect::<Vec<_>>();
        workers
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(given.len(), JOBS);
    assert_eq!(
        given.iter().collect::<HashSet<_>>().len(),
        JOBS,
        "{given:?}"
    );
    std::thread::sleep(std::time::Duration::from_millis(550));
    let board: DashboardResponse = root.get("/api/audience/dashboard").unwrap();
    let items = board.leaderboard.unwrap().teams;
    let finished = items.iter().map(|it| it.finished_jobs).sum::<i64>();
    assert_eq!(
        finished, JOBS as i64,
        "the web's board has what the workers reported"
    );
    api.end(Signal::TERM);
    web.end(Signal::INT);
}

/// Each process answers its own part only.
fn roles(web: &Process, api: &Process) {
    let headers = [("Content-Type", PROTOBUF)];
    for (process, method, path) in [
        (web, "POST", "/worker/jobs/receive"),
        (api, "POST", "/initialize"),
        (api, "GET", "/api/session"),
        (api, "GET", "/"),
    ] {
        let reply = send(process.address, method, path, &headers, &[]);
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
}

fn enqueue(mut leader: Visitor, left: &AtomicUsize) {
    let request = CreateTeamRequest {
        team_name: "team".to_owned(),
        ..CreateTeamRequest::default()
    };
    let _: CreateTeamResponse = leader.post("/api/teams", &request).unwrap();
    let request = EnqueueJobRequest::default();
    let mut mine = 0;
    while mine < JOBS / TEAMS {
        match leader.post::<_, EnqueueJobResponse>("/api/jobs", &request) {
            Ok(_) => mine += 1,
            Err(refused) => assert_eq!(refused, (403, "job_already_waiting".to_owned())),
        }
        assert!(left.load(Ordering::Relaxed) > 0 || mine == JOBS / TEAMS);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn work(mut worker: Visitor, left: &AtomicUsize) -> Vec<i64> {
    let mut given = Vec::new();
    while left.load(Ordering::Relaxed) > 0 {
        let request = ReceiveJobRequest::default();
        let reply: ReceiveJobResponse = worker.post("/worker/jobs/receive", &request).unwrap();
        let Some(job) = reply.job else {
            std::thread::sleep(std::time::Duration::from_millis(2));
            continue;
        };
        given.push(job.job_id);
        let request = ReportJobRequest {
            handle: job.handle,
            result: Some(JobResult {
                passed: true,
                score_raw: 10,
                ..JobResult::default()
            }),
        };
        left.fetch_sub(1, Ordering::Relaxed);
        let path = format!("/worker/jobs/{}/report", job.job_id);
        let _: ReportJobResponse = worker.post(&path, &request).unwrap();
    }
    given
}

#[test]
fn a_database_of_its_own_goes_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let mut process = Process::start(&[], &[("TMPDIR", &place), ("CONTEST_DATABASE", "")]);
    let made = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(made, 1, "a folder for the database");
    process.end(Signal::TERM);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
