//! HTTP/1.1 as a client sees it: requests to bytes, bytes to replies. No sockets here.
//!
//! Everything in this module is a function of bytes, so that tables of rows and a fuzzer can
//! exercise it. Hard limits are in [`limits`].

pub mod coding;
mod head;
pub mod limits;
mod reader;
pub mod request;
pub mod target;

pub use head::{Coding, Codings, Head, HeadCache, HeadError, header_values};
pub use reader::{Done, Place, Progress, Reply, ReplyError, ReplyReader, Want};
