//! Ctrl-C and SIGTERM, as a run understands them.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::{COULD_NOT, complain};
use crate::engine::{StopLevel, StopSwitch};

/// A switch that Ctrl-C and SIGTERM press: once to end the run, twice to cut it.
pub(super) fn stop_on_signals() -> Result<Arc<StopSwitch>> {
    let stop = Arc::new(StopSwitch::default());
    let pressed = Arc::clone(&stop);
    on_signals(move || {
        // Whoever asks a third time wants it to end, whatever is still unwritten.
        if pressed.level() == StopLevel::Cut {
            complain("isukit: stopped before it could report");
            std::process::exit(COULD_NOT.into());
        }
        pressed.press();
    })?;
    Ok(stop)
}

/// Call `act` for each Ctrl-C and SIGTERM, on a thread of its own.
pub(super) fn on_signals(mut act: impl FnMut() + Send + 'static) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the signal thread")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).context("cannot listen for Ctrl-C");
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        )
    };
    let watch = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            act();
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))
        .context("cannot start the signal thread")?;
    Ok(())
}
