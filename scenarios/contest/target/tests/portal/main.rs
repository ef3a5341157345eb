//! Tests of the portal from outside: over HTTP, on both databases, as one process and as two.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

#[path = "../support/client.rs"]
mod client;
#[path = "../support/in_process.rs"]
mod in_process;
#[path = "../support/mariadb.rs"]
#[allow(dead_code)]
mod mariadb;
#[path = "../support/server.rs"]
mod server;

mod databases;
mod files;
mod flow;
mod hostile;
mod lies;
mod logs;
mod processes;
mod rules;
