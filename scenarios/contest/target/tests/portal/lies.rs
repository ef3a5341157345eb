//! Each lie shows where it should.

use contest_target::messages::notification::Content;
use contest_target::messages::*;
use contest_target::{Lies, Options};

use crate::client::{PROTOBUF, Visitor, send};
use crate::in_process::Server;

fn server(lie: &str) -> Server {
    let lies: Lies = lie.parse().unwrap();
    Server::start(Options {
        lies,
        ..Options::default()
    })
}

fn leader(server: &Server, id: &str) -> Visitor {
    let mut visitor = Visitor::signed_up(server.address, id);
    let request = CreateTeamRequest {
        team_name: id.to_owned(),
        ..CreateTeamRequest::default()
    };
    let _: CreateTeamResponse = visitor.post("/api/teams", &request).unwrap();
    visitor
}

fn finish_job(visitor: &mut Visitor, raw: i64) -> i64 {
    let _: EnqueueJobResponse = visitor
        .post("/api/jobs", &EnqueueJobRequest::default())
        .unwrap();
    let request = ReceiveJobRequest::default();
    let received: ReceiveJobResponse = visitor.post("/worker/jobs/receive", &request).unwrap();
    let job = received.job.unwrap();
    let result = JobResult {
        passed: true,
        score_raw: raw,
        ..JobResult::default()
    };
    let request = ReportJobRequest {
        handle: job.handle,
        result: Some(result),
    };
    let path = format!("/worker/jobs/{}/report", job.job_id);
    let _: ReportJobResponse = visitor.post(&path, &request).unwrap();
    job.job_id
}

fn board(visitor: &mut Visitor) -> Vec<leaderboard::Item> {
    let reply: DashboardResponse = visitor.get("/api/audience/dashboard").unwrap();
    reply.leaderboard.unwrap().teams
}

fn told(visitor: &mut Visitor) -> Vec<Notification> {
    let reply: ListNotificationsResponse = visitor.get("/api/notifications").unwrap();
    reply.notifications
}

#[test]
fn lies_about_jobs_and_the_board() {
    let server = server("leaderboard,job-score,duplicate-notification");
    let (mut ann, mut bob) = (leader(&server, "ann"), leader(&server, "bob"));
    let id = finish_job(&mut ann, 100);
    finish_job(&mut bob, 50);
    let board = board(&mut ann);
    assert_eq!(board[0].team.as_ref().unwrap().name, "bob");
    assert_eq!(
        (board[0].position, board[0].best_score, board[1].best_score),
        (1, 51, 100)
    );
    let job: GetJobResponse = ann.get(&format!("/api/jobs/{id}")).unwrap();
    assert_eq!(job.job.unwrap().result.unwrap().score, 101);
    let told = told(&mut ann);
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[0].content,
        Some(Content::JobFinished(JobFinished { job_id: id }))
    );
    assert_eq!(told[0].content, told[1].content);
}

#[test]
fn lies_about_time_answers_and_sessions() {
    let server = server("stale,slow,lost-answer,session");
    let mut ann = leader(&server, "ann");
    let began = std::time::Instant::now();
    assert_eq!(board(&mut ann).len(), 1);
    assert!(began.elapsed().as_secs() >= 3);
    finish_job(&mut ann, 100);
    let stale: DashboardResponse = ann.get("/api/dashboard").unwrap();
    let stale = stale.leaderboard.unwrap();
    assert_eq!(stale.teams[0].finished_jobs, 0);
    let request = AskRequest {
        question: "Why?".to_owned(),
    };
    let asked: AskResponse = ann.post("/api/clarifications", &request).unwrap();
    let request = AnswerRequest {
        answer: "So".to_owned(),
        disclose: true,
    };
    let path = format!(
        "/api/staff/clarifications/{}",
        asked.clarification.unwrap().id
    );
    let _: AnswerResponse = Visitor::staff(server.address)
        .post(&path, &request)
        .unwrap();
    assert_eq!(told(&mut ann).len(), 1, "only the job");
    let names = (0..10).map(|_| {
        ann.get::<SessionResponse>("/api/session")
            .unwrap()
            .contestant_id
    });
    assert_eq!(names.filter(|name| name != "ann").count(), 2);
}

#[test]
fn lies_about_files_and_errors() {
    let honest = Server::start(Options::default());
    let server = server("asset,hash,error-body");
    let get = |server: &Server, path| send(server.address, "GET", path, &[], b"");
    assert_eq!(get(&server, "/assets/app.js").status, 404);
    let (css, real) = (
        get(&server, "/assets/app.css"),
        get(&honest, "/assets/app.css"),
    );
    let different = css
        .body
        .iter()
        .zip(&real.body)
        .filter(|(one, other)| one != other);
    assert_eq!((css.body.len(), different.count()), (real.body.len(), 1));
    assert_eq!(css.header("etag"), real.header("etag"));
    let headers = [("Content-Type", PROTOBUF)];
    let error = send(server.address, "GET", "/api/dashboard", &headers, b"");
    assert_eq!((error.status, error.body.len()), (401, 0));
}
