//! A contest portal over a database, to try a benchmark and a tuning toolkit on.
//!
//! It speaks protobuf over HTTP/1.1 (`contest.proto` has all endpoints and messages) and is slow in
//! the ways such portals are: no indexes ([`Fixes::index`]), a query for each row of another query
//! ([`Fixes::nplus1`]), nothing kept in memory ([`Fixes::cache`]). Each can be fixed by itself, and no
//! reply changes but for its time. [`Lies`] make it wrong on purpose, to try a benchmark's checks on.

mod app;
mod board;
mod clock;
mod db;
mod http;
mod lie;
mod log;
mod memory;
mod options;
mod portal;
mod refusal;
mod secret;
mod server;

/// The messages of `contest.proto`.
#[allow(missing_docs, unreachable_pub)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/contest.v1.rs"));
}

pub use app::StartError;
pub use db::{BadLocation, DbError, Location};
pub use lie::Lies;
pub use options::{Fixes, Options, Role, UnknownName};
pub use server::{Portal, serve};
