//! Files that are no captures: HTTP messages one behind the other, and single bodies.

use anyhow::{Result, bail};
use isukit_analyze::decode::{Body, read_messages, sniff};

use super::DecodeArgs;
use super::sink::BodySink;
use crate::cli::complain;

/// HTTP requests and replies.
pub(super) fn http(args: &DecodeArgs, bytes: &[u8], sink: &mut BodySink<'_>) -> Result<()> {
    read_messages(bytes, &mut |body| {
        sink.observe(body);
    });
    sink.settle();
    let mut outcome = Ok(());
    let left = read_messages(bytes, &mut |body| {
        if outcome.is_ok() {
            outcome = sink.body(body);
        }
    });
    outcome?;
    if left > 0 {
        complain(&format!(
            "isukit: {}: the last {left} bytes are no HTTP message",
            args.file.display()
        ));
        sink.lost(left as u64);
    }
    Ok(())
}

/// One body, or several that are framed.
pub(super) fn raw(args: &DecodeArgs, bytes: Vec<u8>, sink: &mut BodySink<'_>) -> Result<()> {
    let given = sink.given();
    let sniffed = sniff(
        bytes,
        given.as_ref(),
        args.form.and_then(|form| form.notation()),
        args.form.and_then(|form| form.framing()),
    );
    let sniffed = match sniffed {
        Ok(sniffed) => sniffed,
        Err(error) => bail!("{}: {error}", args.file.display()),
    };
    sink.set_framing(sniffed.framing);
    let body = Body::raw(&sniffed.bytes);
    sink.observe(&body);
    sink.settle();
    sink.body(&body)
}
