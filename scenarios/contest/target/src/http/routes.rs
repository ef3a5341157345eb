//! The table of who answers what.

use hyper::Method;

use super::{Call, Success};
use crate::options::Role;
use crate::portal::{
    accounts, clarifications, dashboard, initialize, jobs, notifications, teams, worker,
};
use crate::refusal::Failure;

/// Something that the portal does on request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Initialize,
    Signup,
    Login,
    Logout,
    Session,
    CreateTeam,
    JoinTeam,
    GetTeam,
    Enqueue,
    ListJobs,
    GetJob,
    Dashboard,
    AudienceDashboard,
    Ask,
    ListClarifications,
    StaffClarifications,
    Answer,
    Notifications,
    Receive,
    Report,
}

use Endpoint as E;

/// Method, path and endpoint; `#` stands for a number.
const ROUTES: &[(Method, &str, Endpoint)] = &[
    (Method::POST, "/initialize", E::Initialize),
    (Method::POST, "/api/signup", E::Signup),
    (Method::POST, "/api/login", E::Login),
    (Method::POST, "/api/logout", E::Logout),
    (Method::GET, "/api/session", E::Session),
    (Method::POST, "/api/teams", E::CreateTeam),
    (Method::POST, "/api/teams/#/members", E::JoinTeam),
    (Method::GET, "/api/teams/#", E::GetTeam),
    (Method::POST, "/api/jobs", E::Enqueue),
    (Method::GET, "/api/jobs", E::ListJobs),
    (Method::GET, "/api/jobs/#", E::GetJob),
    (Method::GET, "/api/dashboard", E::Dashboard),
    (Method::GET, "/api/audience/dashboard", E::AudienceDashboard),
    (Method::POST, "/api/clarifications", E::Ask),
    (Method::GET, "/api/clarifications", E::ListClarifications),
    (
        Method::GET,
        "/api/staff/clarifications",
        E::StaffClarifications,
    ),
    (Method::POST, "/api/staff/clarifications/#", E::Answer),
    (Method::GET, "/api/notifications", E::Notifications),
    (Method::POST, "/worker/jobs/receive", E::Receive),
    (Method::POST, "/worker/jobs/#/report", E::Report),
];

/// Whether a path is for programs, and not a file.
pub(super) fn is_program(path: &str) -> bool {
    path == "/initialize"
        || ["/api", "/worker"].iter().any(|prefix| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// Who answers, and the number in the path; or else the methods that this path knows.
pub(super) fn find(
    role: Role,
    method: &Method,
    path: &str,
) -> Result<(Endpoint, i64), Vec<Method>> {
    let mut methods = Vec::new();
    for (allowed, pattern, endpoint) in ROUTES {
        let here = match pattern.starts_with("/worker/") {
            true => role.api(),
            false => role.web(),
        };
        let Some(number) = matches(pattern, path).filter(|_| here) else {
            continue;
        };
        if allowed == method {
            return Ok((*endpoint, number));
        }
        methods.push(allowed.clone());
    }
    Err(methods)
}

/// The number in a path that looks like the pattern, 0 if it has no place for one.
fn matches(pattern: &str, path: &str) -> Option<i64> {
    let Some((front, back)) = pattern.split_once('#') else {
        return (pattern == path).then_some(0);
    };
    let digits = path.strip_prefix(front)?.strip_suffix(back)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Let the endpoint answer.
pub(super) async fn run(endpoint: Endpoint, call: Call) -> Result<Success, Failure> {
    match endpoint {
        E::Initialize => initialize::initialize(&call).await,
        E::Signup => accounts::signup(&call).await,
        E::Login => accounts::login(&call).await,
        E::Logout => accounts::logout(&call).await,
        E::Session => accounts::session(&call).await,
        E::CreateTeam => teams::create(&call).await,
        E::JoinTeam => teams::join(&call).await,
        E::GetTeam => teams::get(&call).await,
        E::Enqueue => jobs::enqueue(&call).await,
        E::ListJobs => jobs::list(&call).await,
        E::GetJob => jobs::get(&call).await,
        E::Dashboard => dashboard::members(&call).await,
        E::AudienceDashboard => dashboard::audience(&call).await,
        E::Ask => clarifications::ask(&call).await,
        E::ListClarifications => clarifications::list(&call).await,
        E::StaffClarifications => clarifications::unanswered(&call).await,
        E::Answer => clarifications::answer(&call).await,
        E::Notifications => notifications::list(&call).await,
        E::Receive => worker::receive(&call).await,
        E::Report => worker::report(&call).await,
    }
}
