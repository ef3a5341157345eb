//! HTTP/1.1 as it is read: bytes of a connection to heads and bodies. No sockets here.
//!
//! Everything in this module is a function of bytes, so that tables of rows and a fuzzer can
//! exercise it. Hard limits are in [`limits`].

pub(crate) mod chunk;
pub mod coding;
#[doc(hidden)]
pub mod fuzz;
mod head;
pub mod limits;
mod reader;
pub(crate) use reader::head_end;

pub use head::{Coding, Codings, Head, HeadCache, HeadError, RequestHead, header_values};
pub use reader::{Done, Place, Progress, Reply, ReplyError, ReplyReader, Want};
