//! Where `isukit run --debug` hears of every request and its reply.

use std::fmt;
use std::sync::Arc;

/// Takes lines as they come. Only the command line prints, so it gives the function that does.
#[derive(Clone)]
pub struct Trace(Arc<dyn Fn(&str) + Send + Sync>);

impl Trace {
    /// Call `print` with every line.
    pub fn new(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(print))
    }

    pub(super) fn line(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}
