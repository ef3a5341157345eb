//! Bodies that are copied as they pass. They are read only as fast as they can be sent on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::seen::Copier;

/// What must happen before a body is read.
pub(super) type Gate = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body that passes.
pub(super) struct Watched {
    inner: Source,
    copier: Option<Copier>,
    gate: Option<Gate>,
}

enum Source {
    /// What the other side sends.
    Incoming(Incoming),
    /// What the tap says itself, until it is said.
    Own(Option<Bytes>),
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("copier", &self.copier)
            .finish_non_exhaustive()
    }
}

impl Watched {
    /// A body of the other side.
    pub(super) fn new(incoming: Incoming, mut copier: Copier, gate: Option<Gate>) -> Self {
        if incoming.is_end_stream() {
            copier.end();
        }
        Self {
            inner: Source::Incoming(incoming),
            copier: Some(copier),
            gate,
        }
    }

    /// A body of our own.
    pub(super) fn own(text: String, mut copier: Copier) -> Self {
        copier.push(text.as_bytes());
        copier.end();
        Self {
            inner: Source::Own(Some(Bytes::from(text))),
            copier: None,
            gate: None,
        }
    }

    /// No body.
    pub(super) fn empty() -> Self {
        Self {
            inner: Source::Own(None),
            copier: None,
            gate: None,
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.as_mut().poll(cx));
            self.gate = None;
        }
        let this = &mut *self;
        let incoming = match &mut this.inner {
            Source::Own(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Incoming(incoming) => incoming,
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if let Some(copier) = &mut this.copier {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref() {
                        copier.push(piece);
                    }
                    // Who knows the length, or has had the trailers, does not ask for what is behind it.
                    if incoming.is_end_stream() || frame.is_trailers() {
                        copier.end();
                    }
                }
                None => copier.end(),
                // Its end is that it is dropped, cut.
                Some(Err(_)) => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Source::Incoming(incoming) => incoming.is_end_stream(),
            Source::Own(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Source::Incoming(incoming) => incoming.size_hint(),
            Source::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
