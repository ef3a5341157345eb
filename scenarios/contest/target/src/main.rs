//! `contest-target`: serve the contest portal until Ctrl-C or SIGTERM.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use contest_target::{Fixes, Lies, Location, Options, Role};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A contest portal, slow as such portals are: a target for load tests and tuning
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  contest-target --listen 127.0.0.1:9292 --fix index,nplus1
  contest-target --role web --database contest.db --listen 127.0.0.1:9292
  contest-target --role api --database contest.db --listen 127.0.0.1:9293")]
struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9292")]
    listen: SocketAddr,

    /// Which requests to answer: web is /initialize, /api and the files, api is /worker
    #[arg(long, value_enum, default_value = "all")]
    role: RoleName,

    /// PATH, sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE; by default a SQLite file in a
    /// temporary folder that is removed at the end. Everybody on this machine can read a process's
    /// arguments: give a password through the variable CONTEST_DATABASE instead
    #[arg(long, value_name = "DATABASE")]
    database: Option<Location>,

    /// Write one LTSV line for each answered request to this file
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,

    /// Write SQLite's statements to this file in the format of MySQL's slow log
    #[arg(long, value_name = "FILE")]
    slow_log: Option<PathBuf>,

    /// Leave out of the slow log what takes less time
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    long_query_time: Duration,

    /// What has been made faster: some of index, nplus1 and cache, all or none.
    /// Indexes are made by /initialize
    #[arg(long, value_name = "LIST", default_value = "none")]
    fix: Fixes,

    /// Connections to the database that read (with SQLite one more writes)
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1024))]
    db_threads: u16,

    /// End each statement with the number of its request in the access log: /* reqid=7 */
    #[arg(long)]
    sql_comments: bool,

    /// Be wrong on purpose, to try a scenario's checks on: some of leaderboard, stale, asset, hash,
    /// session, lost-answer, duplicate-notification, job-score, slow, error-body
    #[arg(long, value_name = "LIST", default_value = "none")]
    lie: Lies,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    All,
    Web,
    Api,
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds = text.parse().context("give seconds, such as 0.1")?;
    Duration::try_from_secs_f64(seconds).context("give seconds from 0 on")
}

impl Args {
    fn options(self) -> Result<Options> {
        let database = match self.database {
            Some(database) => Some(database),
            None => from_environment()?,
        };
        Ok(Options {
            role: match self.role {
                RoleName::All => Role::All,
                RoleName::Web => Role::Web,
                RoleName::Api => Role::Api,
            },
            database,
            access_log: self.access_log,
            slow_log: self.slow_log,
            long_query_time: self.long_query_time,
            fixes: self.fix,
            lies: self.lie,
            db_threads: self.db_threads.into(),
            sql_comments: self.sql_comments,
        })
    }
}

fn from_environment() -> Result<Option<Location>> {
    match std::env::var("CONTEST_DATABASE") {
        Ok(place) if !place.is_empty() => {
            let place = place.parse().context("CONTEST_DATABASE is not usable")?;
            Ok(Some(place))
        }
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
        Err(_) => bail!("CONTEST_DATABASE is no text"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let listen = args.listen;
    let options = args.options()?;
    let shutdown = signals()?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let portal = contest_target::Portal::open(options).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()?;
    portal.serve(listener, shutdown).await;
    Ok(())
}

/// Ready when the process is asked to end.
fn signals() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
