//! Every rule, and the name of the error of whoever breaks it.

use std::net::SocketAddr;

use contest_target::messages::*;
use contest_target::{Location, Options};
use prost::Message;

use crate::client::{PROTOBUF, Visitor, send};
use crate::in_process::Server;

#[test]
fn rules_hold_on_sqlite() {
    hold(None);
}

#[test]
fn rules_hold_with_all_fixes() {
    check("all", None);
}

/// Check all rules on a portal.
pub(crate) fn hold(database: Option<Location>) {
    check("none", database);
}

/// The people of the rules: somebody without a session, somebody without a team, and members.
struct People {
    nobody: Visitor,
    loner: Visitor,
    leader: Visitor,
    other: Visitor,
    staff: Visitor,
    team: Team,
}

fn check(fix: &str, database: Option<Location>) {
    let server = Server::start(Options {
        database,
        fixes: fix.parse().unwrap(),
        ..Options::default()
    });
    let people = people(server.address);
    for rule in RULES.lines().filter(|line| !line.is_empty()) {
        let parts = rule.split_whitespace().collect::<Vec<_>>();
        let [who, method, path, body, status, name] = parts.as_slice() else {
            panic!("{rule}")
        };
        let who = people.find(who);
        let mut headers = vec![("Content-Type", PROTOBUF)];
        if let Some(cookie) = &who.cookie {
            headers.push(("Cookie", cookie));
        }
        let path = path.replace("TEAM", &people.team.id.to_string());
        let body = body.replace("TOKEN", &people.team.invite_token);
        let reply = send(server.address, method, &path, &headers, &encode(&body));
        let error = reply.error();
        assert_eq!(
            (reply.status.to_string().as_str(), error.as_str()),
            (*status, *name),
            "{rule}"
        );
    }
    waiting_jobs(people.leader.clone(), people.other.clone());
    answers(people.leader.clone(), people.staff.clone());
    logout(people.loner);
}

fn people(address: SocketAddr) -> People {
    let request = InitializeRequest { team_capacity: 2 };
    let _: InitializeResponse = Visitor::new(address).post("/initialize", &request).unwrap();
    let mut leader = Visitor::signed_up(address, "leader");
    let mut other = Visitor::signed_up(address, "other");
    let create = |visitor: &mut Visitor, name: &str| {
        let request = CreateTeamRequest {
            team_name: name.to_owned(),
            ..CreateTeamRequest::default()
        };
        let made: CreateTeamResponse = visitor.post("/api/teams", &request).unwrap();
        made.team.unwrap()
    };
    let team = create(&mut leader, "full");
    create(&mut other, "another");
    for member in ["second", "third"] {
        let request = JoinTeamRequest {
            invite_token: team.invite_token.clone(),
            display_name: member.to_owned(),
        };
        let path = format!("/api/teams/{}/members", team.id);
        let mut visitor = Visitor::signed_up(address, member);
        let _: JoinTeamResponse = visitor.post(&path, &request).unwrap();
    }
    People {
        nobody: Visitor::new(address),
        loner: Visitor::signed_up(address, "loner"),
        leader,
        other,
        staff: Visitor::staff(address),
        team,
    }
}

/// Who asks for what with which message, and what they are told.
const RULES: &str = "
nobody POST /initialize capacity=-1 400 bad_request
nobody POST /api/signup signup=leader/x 403 id_taken
nobody POST /api/signup signup=/x 400 bad_request
nobody POST /api/signup signup=a+b/x 400 bad_request
nobody POST /api/signup signup=ünï/x 400 bad_request
nobody POST /api/signup signup=65/x 400 bad_request
nobody POST /api/signup signup=fresh/ 400 bad_request
nobody POST /api/login signup=leader/wrong 403 wrong_credentials
nobody POST /api/login signup=unknown/x 403 wrong_credentials
nobody POST /api/login signup=practice-1-1/ 403 wrong_credentials
nobody POST /api/logout - 401 login_required
nobody POST /api/teams team=x 401 login_required
nobody POST /api/teams/TEAM/members join=TOKEN 401 login_required
nobody GET /api/teams/TEAM - 401 login_required
nobody POST /api/jobs job=h 401 login_required
nobody GET /api/jobs - 401 login_required
nobody GET /api/jobs/1 - 401 login_required
nobody GET /api/dashboard - 401 login_required
nobody POST /api/clarifications ask=x 401 login_required
nobody GET /api/clarifications - 401 login_required
nobody GET /api/notifications - 401 login_required
nobody GET /api/staff/clarifications - 401 login_required
nobody POST /api/staff/clarifications/1 answer=x 401 login_required
loner POST /api/jobs job=h 403 team_required
loner GET /api/jobs - 403 team_required
loner GET /api/jobs/1 - 403 team_required
loner GET /api/dashboard - 403 team_required
loner POST /api/clarifications ask=x 403 team_required
loner GET /api/clarifications - 403 team_required
leader GET /api/staff/clarifications - 403 staff_required
leader POST /api/staff/clarifications/1 answer=x 403 staff_required
leader POST /api/teams team=x 403 already_in_team
leader POST /api/teams/TEAM/members join=TOKEN 403 already_in_team
loner POST /api/teams team=x 403 registration_full
loner POST /api/teams team= 400 bad_request
loner POST /api/teams team=256 400 bad_request
loner POST /api/teams/TEAM/members join=wrong 403 wrong_invite_token
loner POST /api/teams/TEAM/members join=TOKEN 403 team_is_full
loner POST /api/teams/999/members join=x 404 not_found
loner POST /api/teams/1/members join= 404 not_found
loner GET /api/teams/999 - 404 not_found
loner GET /api/teams/1 - 404 not_found
leader POST /api/jobs job=256 400 bad_request
leader GET /api/jobs/1 - 404 not_found
leader GET /api/jobs/999999 - 404 not_found
leader POST /api/clarifications ask= 400 bad_request
leader POST /api/clarifications ask=10001 400 bad_request
leader GET /api/notifications?after=x - 400 bad_request
staff POST /api/staff/clarifications/999999 answer=x 404 not_found
staff POST /api/staff/clarifications/1 answer=x 403 already_answered
staff POST /api/staff/clarifications/1 answer= 400 bad_request
nobody POST /worker/jobs/999999/report report=x 404 not_found
nobody POST /worker/jobs/1/report report=x 403 wrong_handle
nobody POST /worker/jobs/1/report report= 400 bad_request
";

impl People {
    fn find(&self, name: &str) -> &Visitor {
        match name {
            "nobody" => &self.nobody,
            "loner" => &self.loner,
            "leader" => &self.leader,
            "staff" => &self.staff,
            _ => panic!("who is {name}?"),
        }
    }
}

/// The message that a rule names; a number is so many letters, a plus is a space.
fn encode(body: &str) -> Vec<u8> {
    let Some((kind, text)) = body.split_once('=') else {
        return Vec::new();
    };
    let word = |word: &str| match word.parse::<usize>() {
        Ok(letters) => "x".repeat(letters),
        Err(_) => word.replace('+', " "),
    };
    match kind {
        "capacity" => {
            let team_capacity = text.parse().unwrap();
            InitializeRequest { team_capacity }.encode_to_vec()
        }
        "signup" => {
            let (id, password) = text.split_once('/').unwrap();
            let (contestant_id, password) = (word(id), word(password));
            let request = SignupRequest {
                contestant_id,
                password,
            };
            request.encode_to_vec()
        }
        // One text in field 1 is all that these have to say.
        "team" | "join" | "ask" | "answer" | "job" => {
            let question = word(text);
            AskRequest { question }.encode_to_vec()
        }
        "report" => {
            let request = ReportJobRequest {
                handle: "guessed".to_owned(),
                result: (!text.is_empty()).then(JobResult::default),
            };
            request.encode_to_vec()
        }
        _ => panic!("what is {kind}?"),
    }
}

/// One job waits or runs for each team, and whoever has another handle cannot end it.
fn waiting_jobs(mut leader: Visitor, mut other: Visitor) {
    let request = EnqueueJobRequest::default();
    let again = |leader: &mut Visitor| {
        let refused = leader.post::<_, EnqueueJobResponse>("/api/jobs", &request);
        assert_eq!(
            refused.unwrap_err(),
            (403, "job_already_waiting".to_owned())
        );
    };
    let made: EnqueueJobResponse = leader.post("/api/jobs", &request).unwrap();
    again(&mut leader);
    let path = format!("/api/jobs/{}", made.job.unwrap().id);
    let seen = other.get::<GetJobResponse>(&path);
    assert_eq!(seen.unwrap_err(), (404, "not_found".to_owned()));
    let mut worker = Visitor::new(leader.address);
    let receive = ReceiveJobRequest::default();
    let received: ReceiveJobResponse = worker.post("/worker/jobs/receive", &receive).unwrap();
    let nothing: ReceiveJobResponse = worker.post("/worker/jobs/receive", &receive).unwrap();
    assert_eq!(nothing.job, None);
    again(&mut leader);
    let job = received.job.unwrap();
    let path = format!("/worker/jobs/{}/report", job.job_id);
    let mut report = ReportJobRequest {
        handle: String::new(),
        result: Some(JobResult::default()),
    };
    let wrong = (403, "wrong_handle".to_owned());
    let refused = worker.post::<_, ReportJobResponse>(&path, &report);
    assert_eq!(refused.unwrap_err(), wrong);
    report.handle = job.handle;
    let _: ReportJobResponse = worker.post(&path, &report).unwrap();
    // A result stands.
    let refused = worker.post::<_, ReportJobResponse>(&path, &report);
    assert_eq!(refused.unwrap_err(), wrong);
    let _: EnqueueJobResponse = leader.post("/api/jobs", &request).unwrap();
}

/// A clarification is answered once.
fn answers(mut leader: Visitor, mut staff: Visitor) {
    let request = AskRequest {
        question: "Why?".to_owned(),
    };
    let asked: AskResponse = leader.post("/api/clarifications", &request).unwrap();
    let path = format!(
        "/api/staff/clarifications/{}",
        asked.clarification.unwrap().id
    );
    let request = AnswerRequest {
        answer: "Therefore.".to_owned(),
        disclose: false,
    };
    let _: AnswerResponse = staff.post(&path, &request).unwrap();
    let refused = staff.post::<_, AnswerResponse>(&path, &request);
    assert_eq!(refused.unwrap_err(), (403, "already_answered".to_owned()));
}

/// Who has logged out is nobody, also with the old cookie.
fn logout(mut visitor: Visitor) {
    let cookie = visitor.cookie.clone();
    let session: SessionResponse = visitor.get("/api/session").unwrap();
    assert_eq!(session.contestant_id, "loner");
    let _: LogoutResponse = visitor.post("/api/logout", &()).unwrap();
    assert_eq!(visitor.cookie.as_deref(), Some("contest_session="));
    visitor.cookie = cookie;
    let session: SessionResponse = visitor.get("/api/session").unwrap();
    assert_eq!(session.contestant_id, "");
}
