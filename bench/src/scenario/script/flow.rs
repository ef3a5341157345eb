//! What a script's callbacks raise besides mistakes of the script.

use mlua::Error;

/// Why a flow ends early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flow {
    /// The target did not do what it should; it is counted already.
    #[error("{0}")]
    Counted(String),
    /// The same, not counted yet.
    #[error("{0}")]
    Failure(String),
    /// The script says that the run has failed as a whole.
    #[error("{0}")]
    Critical(String),
    /// The script computes for too long.
    #[error("{0}")]
    Runaway(String),
}

impl Flow {
    /// The target did not do what it should.
    pub(super) fn failure(detail: impl Into<String>) -> Error {
        Error::external(Self::Failure(detail.into()))
    }

    /// The same, when it was counted.
    pub(super) fn counted(detail: impl Into<String>) -> Error {
        Error::external(Self::Counted(detail.into()))
    }

    /// What is behind an error that came out of a script, if it is one of these.
    pub(super) fn of(error: &Error) -> Option<&Self> {
        error.downcast_ref()
    }
}
