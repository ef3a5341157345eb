//! A contest from its beginning to its end; everything that was answered, as lines of text.

use std::net::SocketAddr;

use contest_target::messages::*;

use crate::client::Visitor;

/// Play a contest with a fresh portal. What differs from run to run is left out of the lines.
pub(crate) fn play(address: SocketAddr) -> Vec<String> {
    let mut flow = Flow {
        address,
        lines: Vec::new(),
    };
    let mut root = Visitor::new(address);
    let request = InitializeRequest { team_capacity: 4 };
    let reply: InitializeResponse = root.post("/initialize", &request).unwrap();
    assert_eq!(reply.contest.as_ref().map(|it| it.team_capacity), Some(4));
    flow.note("initialize", &reply);
    let teams = flow.teams();
    let [ann, .., zoe] = teams.as_slice() else {
        panic!("there are teams")
    };
    flow.look("nothing is finished yet", &mut ann.clone());
    // Each team in its turn: the later ones have the same best score as the first one.
    let scores = [(700, 50), (100, 400), (650, 0)];
    for (visitor, (raw, deduction)) in teams.iter().zip(scores) {
        flow.job(&mut visitor.clone(), raw, deduction, true);
    }
    flow.job(&mut ann.clone(), 900, 0, false);
    flow.job(&mut ann.clone(), 120, 0, true);
    flow.clarifications(&mut ann.clone(), &mut zoe.clone());
    for visitor in &teams {
        flow.look("at the end", &mut visitor.clone());
    }
    flow.lines
}

struct Flow {
    address: SocketAddr,
    lines: Vec<String>,
}

impl Flow {
    fn note(&mut self, what: &str, reply: &impl std::fmt::Debug) {
        self.lines
            .push(format!("{what}: {}", scrub(&format!("{reply:?}"))));
    }

    /// Three teams of different sizes; their leaders.
    fn teams(&mut self) -> Vec<Visitor> {
        let mut leaders = Vec::new();
        for (leader, members) in [
            ("ann", &["bob", "cid"][..]),
            ("dan", &["eve"]),
            ("zoe", &[]),
        ] {
            let mut visitor = Visitor::signed_up(self.address, leader);
            let request = CreateTeamRequest {
                team_name: format!("team of {leader}"),
                display_name: leader.to_uppercase(),
                student: leader == "dan",
            };
            let made: CreateTeamResponse = visitor.post("/api/teams", &request).unwrap();
            self.note("team", &made);
            let team = made.team.unwrap();
            for member in members {
                let mut visitor = Visitor::signed_up(self.address, member);
                let request = JoinTeamRequest {
                    invite_token: team.invite_token.clone(),
                    display_name: String::new(),
                };
                let path = format!("/api/teams/{}/members", team.id);
                let joined: JoinTeamResponse = visitor.post(&path, &request).unwrap();
                self.note("joined", &joined);
                let session: SessionResponse = visitor.get("/api/session").unwrap();
                self.note("member's session", &session);
            }
            let mut other = Visitor::staff(self.address);
            let path = format!("/api/teams/{}", team.id);
            let mine: GetTeamResponse = visitor.get(&path).unwrap();
            let seen: GetTeamResponse = other.get(&path).unwrap();
            assert_eq!(mine.team.as_ref().unwrap().invite_token, team.invite_token);
            assert_eq!(seen.team.as_ref().unwrap().invite_token, "");
            self.note("seen", &seen);
            leaders.push(visitor);
        }
        leaders
    }

    fn job(&mut self, visitor: &mut Visitor, raw: i64, deduction: i64, passed: bool) {
        let request = EnqueueJobRequest {
            target_host: "10.1.2.3".to_owned(),
        };
        let made: EnqueueJobResponse = visitor.post("/api/jobs", &request).unwrap();
        self.note("enqueued", &made);
        let id = made.job.unwrap().id;
        let mut worker = Visitor::new(self.address);
        let request = ReceiveJobRequest {
            worker: "w1".to_owned(),
        };
        let received: ReceiveJobResponse = worker.post("/worker/jobs/receive", &request).unwrap();
        self.note("received", &received);
        let handle = received.job.unwrap();
        assert_eq!(handle.job_id, id);
        let running: GetJobResponse = visitor.get(&format!("/api/jobs/{id}")).unwrap();
        self.note("running", &running);
        let request = ReportJobRequest {
            handle: handle.handle,
            result: Some(JobResult {
                passed,
                score: 12_345,
                score_raw: raw,
                score_deduction: deduction,
                reason: "done".to_owned(),
            }),
        };
        let path = format!("/worker/jobs/{id}/report");
        let _: ReportJobResponse = worker.post(&path, &request).unwrap();
        let finished: GetJobResponse = visitor.get(&format!("/api/jobs/{id}")).unwrap();
        let score = finished
            .job
            .as_ref()
            .unwrap()
            .result
            .as_ref()
            .unwrap()
            .score;
        assert_eq!(score, if passed { (raw - deduction).max(0) } else { 0 });
        self.note("finished", &finished);
    }

    fn clarifications(&mut self, ann: &mut Visitor, zoe: &mut Visitor) {
        let mut staff = Visitor::staff(self.address);
        for (visitor, question, disclose) in [
            (&mut *ann, "May we use a cache?", true),
            (&mut *zoe, "Où est le café? \u{1F375}", false),
        ] {
            let question = question.to_owned();
            let request = AskRequest { question };
            let asked: AskResponse = visitor.post("/api/clarifications", &request).unwrap();
            self.note("asked", &asked);
            let open: StaffClarificationsResponse = staff.get("/api/staff/clarifications").unwrap();
            self.note("open", &open);
            let request = AnswerRequest {
                answer: "Read the 'rules'; all of them.".to_owned(),
                disclose,
            };
            let id = asked.clarification.unwrap().id;
            let path = format!("/api/staff/clarifications/{id}");
            let answered: AnswerResponse = staff.post(&path, &request).unwrap();
            self.note("answered", &answered);
        }
    }

    /// Everything that a team sees.
    fn look(&mut self, when: &str, visitor: &mut Visitor) {
        // A kept leaderboard may be half a second old.
        std::thread::sleep(std::time::Duration::from_millis(550));
        let session: SessionResponse = visitor.get("/api/session").unwrap();
        self.note(when, &session);
        let jobs: ListJobsResponse = visitor.get("/api/jobs").unwrap();
        self.note(when, &jobs);
        let asked: ListClarificationsResponse = visitor.get("/api/clarifications").unwrap();
        self.note(when, &asked);
        let mine: DashboardResponse = visitor.get("/api/dashboard").unwrap();
        self.note(when, &mine);
        let mut anyone = Visitor::new(self.address);
        let all: DashboardResponse = anyone.get("/api/audience/dashboard").unwrap();
        let order = |reply: &DashboardResponse| reply.leaderboard.clone().unwrap().teams;
        assert_eq!(order(&mine), order(&all));
        let told: ListNotificationsResponse = visitor.get("/api/notifications").unwrap();
        let ids = told
            .notifications
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        for (place, id) in (1..).zip(&ids) {
            let path = format!("/api/notifications?after={id}");
            let rest: ListNotificationsResponse = visitor.get(&path).unwrap();
            assert_eq!(rest.notifications, told.notifications[place..]);
        }
        // Databases leave different gaps between ids that many rows get at once.
        let contents = told.notifications.iter().map(|it| &it.content);
        let contents = contents.collect::<Vec<_>>();
        self.note(when, &contents);
    }
}

/// A reply's text without its times and secrets.
fn scrub(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((start, mark, end)) = [
        ("Timestamp {", "}"),
        ("token: \"", "\""),
        ("handle: \"", "\""),
    ]
    .into_iter()
    .filter_map(|(mark, end)| Some((rest.find(mark)?, mark, end)))
    .min()
    {
        let after = start + mark.len();
        clean += &rest[..after];
        let length = rest[after..].find(end).expect("the end of a value");
        // Whether there is one stays.
        clean += if length == 0 { "" } else { "..." };
        rest = &rest[after + length..];
    }
    clean + rest
}
