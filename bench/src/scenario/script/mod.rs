//! Luau scripts as users of the engine.
//!
//! ```text
//! engine -> Wake -> user (flows, open calls) -> coroutine -> prelude.luau -> the script
//!                     ^ what it waits for, what it found          |
//!                     +---------------- yield ----------------- <-+
//! ```
//!
//! Each shard has one interpreter. Each user runs the script's outer part anew, so its locals are
//! its own; what users share goes through `shared`. A flow is a coroutine; whatever waits yields
//! to `user`, which resumes it with the answer. Nothing here waits, and a script that computes for
//! too long or takes too much memory is ended.

mod api;
mod assets;
mod cache;
mod call;
mod client;
mod cookies;
mod feed;
mod flow;
mod message;
mod plain;
mod pulse;
mod reply;
mod request;
mod run;
mod shared;
mod shown;
mod trace;
mod user;
mod view;
mod vm;

pub use run::{RunOptions, ScriptRun};
pub use trace::Trace;
pub use user::ScriptBehaviour;
