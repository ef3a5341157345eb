//! HTTP/1.1 as a client writes it: where a request goes, and its bytes. No sockets here; replies are
//! read by [`isukit_analyze::http1`].

pub mod request;
pub mod target;
