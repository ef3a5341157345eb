//! `isukit tap`: a reverse proxy that shows what passes.

mod args;
mod display;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use hyper::header::HeaderValue;
use isukit_analyze::decode::Decoder;
use isukit_analyze::units::{format_bytes, format_count};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(super) use args::TapArgs;

use super::signals::on_signals;
use super::{COULD_NOT, DONE, complain};
use crate::http1::target::{Endpoint, Target};
use crate::tap::{Stop, Tap, Totals, Upstream, watch as watch_messages};
use crate::tls;
use display::{Display, Ended};

/// Do what was asked.
pub(super) fn main(args: &TapArgs) -> Result<u8> {
    let types = args.types.load()?;
    let decoder = Decoder::new(types.decoder_options(None, args.max_body))
        .context("--map has a route that cannot be meant")?;
    let (upstream, target) = upstream(args)?;
    let host = match args.rewrite_host {
        true => Some(HeaderValue::from_str(&target.authority)?),
        false => None,
    };
    let display = Display::new(args, decoder)?;
    let body_limit = usize::try_from(args.body_limit).unwrap_or(usize::MAX);
    let (watcher, receiver) = watch_messages(body_limit);
    let totals = watcher.totals();
    let tap = Tap::new(upstream, host, &watcher);
    drop(watcher);

    let (stop, stopped) = watch::channel(Stop::Run);
    let pressed = stop.clone();
    on_signals(move || press(&pressed))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the network")?;
    let listener = runtime
        .block_on(TcpListener::bind(args.listen))
        .with_context(|| {
            format!(
                "cannot listen on {}; choose another with --listen",
                args.listen
            )
        })?;
    announce(args, &listener, &target)?;
    let shower = thread::Builder::new()
        .name("display".to_owned())
        .spawn(move || {
            let ended = display.run(&receiver);
            // Without anybody to look at it, a tap is of no use.
            if ended.is_err() {
                let _ = stop.send(Stop::Finish);
            }
            ended
        })
        .context("cannot start the display")?;
    runtime.block_on(tap.serve(listener, stopped));
    // With the runtime go the last copies, and then the display ends.
    drop(runtime);
    let ended = shower
        .join()
        .map_err(|_| anyhow!("the display broke down"))??;
    complain(&closing(&totals, &ended));
    Ok(DONE)
}

/// Ctrl-C: once to finish, twice to cut, and a third time to end whatever happens.
fn press(stop: &watch::Sender<Stop>) {
    let level = *stop.borrow();
    match level {
        Stop::Run => stop.send_replace(Stop::Finish),
        Stop::Finish => stop.send_replace(Stop::Cut),
        Stop::Cut => {
            complain("isukit: stopped before all was written");
            std::process::exit(COULD_NOT.into());
        }
    };
}

fn upstream(args: &TapArgs) -> Result<(Upstream, Target)> {
    let url = match args.to.as_bytes() {
        [b':', b'0'..=b'9', ..] => format!("http://127.0.0.1{}", args.to),
        _ => args.to.clone(),
    };
    let target = Target::parse(&url).context("--to")?;
    ensure!(
        target.path == "/" && target.authorization.is_none(),
        "--to is where requests go, without a path or a user: requests keep their own"
    );
    let Endpoint::Tcp(addresses) = target.resolve(&[]).context("--to")? else {
        return Err(anyhow!("--to has no address"));
    };
    let would_loop = addresses
        .iter()
        .any(|address| *address == args.listen && address.port() != 0);
    ensure!(!would_loop, "--to and --listen are both {}", args.listen);
    let tls = match target.tls {
        true => Some(tls::settings(&args.tls(), &target.host)?),
        false => None,
    };
    let host = match target.host.contains(':') {
        true => format!("[{}]", target.host),
        false => target.host.clone(),
    };
    let name = format!("{host}:{}", target.port);
    Ok((Upstream::new(name, addresses, tls), target))
}

fn announce(args: &TapArgs, listener: &TcpListener, target: &Target) -> Result<()> {
    let address = listener.local_addr()?;
    if !args.listen.ip().is_loopback() {
        complain(&format!(
            "isukit: whoever reaches {address} reaches {} through it, and is shown here",
            target.authority
        ));
    }
    let scheme = if target.tls { "https" } else { "http" };
    complain(&format!(
        "isukit: listening on {address}, forwarding to {scheme}://{}; Ctrl-C ends it",
        target.authority
    ));
    Ok(())
}

/// What was seen, for people.
fn closing(totals: &Arc<Totals>, ended: &Ended) -> String {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut parts = vec![
        format!("{} exchanges", format_count(count(&totals.exchanges))),
        format!("{} connections", format_count(count(&totals.connections))),
        format!("{} asked", format_bytes(count(&totals.request_bytes))),
        format!("{} answered", format_bytes(count(&totals.reply_bytes))),
    ];
    for (counter, what) in [
        (&totals.failed, "without an answer of the target (502)"),
        (
            &totals.abandoned,
            "given up by their clients before an answer",
        ),
        (&totals.cut, "messages cut"),
        (
            &totals.retried,
            "sent again as their connection had been closed",
        ),
        (&totals.upgraded, "upgraded to something other than HTTP"),
        (
            &totals.not_shown,
            "messages not shown, as they came faster than they could be",
        ),
    ] {
        if count(counter) > 0 {
            parts.push(format!("{} {what}", format_count(count(counter))));
        }
    }
    let summary = &ended.summary;
    for (number, what) in [
        (summary.undecoded, "messages with errors"),
        (summary.filtered, "left out by --where"),
    ] {
        if number > 0 {
            parts.push(format!("{} {what}", format_count(number)));
        }
    }
    let mut text = format!("isukit: {}", parts.join(", "));
    if let Some(why) = &ended.unjudged {
        text.push_str(&format!(
            "\nisukit: --where could not be held against some: {why}"
        ));
    }
    text
}
