//! Why a request is not done: its own fault, with a stable name, or ours.

use hyper::StatusCode;

use crate::db::DbError;

/// A request that breaks a rule.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Stable, for programs.
    pub(crate) name: &'static str,
    pub(crate) message: &'static str,
    /// More about this case.
    pub(crate) detail: Option<String>,
}

impl Refusal {
    const fn new(status: StatusCode, name: &'static str, message: &'static str) -> Self {
        Self {
            status,
            name,
            message,
            detail: None,
        }
    }

    const fn forbidden(name: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, name, message)
    }

    /// The same refusal with more about the case.
    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

pub(crate) const BAD_REQUEST: Refusal = Refusal::new(
    StatusCode::BAD_REQUEST,
    "bad_request",
    "The request is not understood.",
);
pub(crate) const TOO_LARGE: Refusal = Refusal::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "too_large",
    "The request's body is too large.",
);
pub(crate) const NOT_FOUND: Refusal = Refusal::new(
    StatusCode::NOT_FOUND,
    "not_found",
    "There is no such thing.",
);
pub(crate) const METHOD_NOT_ALLOWED: Refusal = Refusal::new(
    StatusCode::METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "This cannot be done there.",
);
pub(crate) const INTERNAL: Refusal = Refusal::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "The portal has failed.",
);
pub(crate) const LOGIN_REQUIRED: Refusal = Refusal::new(
    StatusCode::UNAUTHORIZED,
    "login_required",
    "You must log in first.",
);
pub(crate) const TEAM_REQUIRED: Refusal =
    Refusal::forbidden("team_required", "You must be in a team.");
pub(crate) const STAFF_REQUIRED: Refusal =
    Refusal::forbidden("staff_required", "This is for the staff.");
pub(crate) const ID_TAKEN: Refusal =
    Refusal::forbidden("id_taken", "Another contestant has this id.");
pub(crate) const WRONG_CREDENTIALS: Refusal =
    Refusal::forbidden("wrong_credentials", "The id or the password is wrong.");
pub(crate) const ALREADY_IN_TEAM: Refusal =
    Refusal::forbidden("already_in_team", "You are in a team already.");
pub(crate) const REGISTRATION_FULL: Refusal =
    Refusal::forbidden("registration_full", "There is no place for another team.");
pub(crate) const TEAM_IS_FULL: Refusal =
    Refusal::forbidden("team_is_full", "The team has all the members it may have.");
pub(crate) const WRONG_INVITE_TOKEN: Refusal =
    Refusal::forbidden("wrong_invite_token", "The team has not invited you.");
pub(crate) const JOB_ALREADY_WAITING: Refusal =
    Refusal::forbidden("job_already_waiting", "A job of your team waits or runs.");
pub(crate) const WRONG_HANDLE: Refusal =
    Refusal::forbidden("wrong_handle", "You have no such running job.");
pub(crate) const ALREADY_ANSWERED: Refusal =
    Refusal::forbidden("already_answered", "The clarification is answered already.");

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    Broken(DbError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DbError> for Failure {
    fn from(cause: DbError) -> Self {
        Self::Broken(cause)
    }
}
