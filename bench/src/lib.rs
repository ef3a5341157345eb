//! isukit: the load engine, the command line and everything that talks to the network.
//!
//! The layers below are [`isukit_proto`] (bytes) and [`isukit_analyze`] (evidence); this one owns
//! clocks, sockets and people.

pub mod check;
pub mod cli;
mod cookie_file;
pub mod engine;
pub mod expect;
pub mod growth;
pub mod hdr;
mod heads;
pub mod http1;
pub mod mysql;
pub mod pace;
pub mod probe;
pub mod report;
pub mod scenario;
pub mod score;
pub mod single;
mod tap;
pub mod tls;
pub mod verdict;
