//! `isukit digest`: what can be typed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use isukit_analyze::access::{Format, Namer, NamerOptions, QueryKeys};
use isukit_analyze::digest::{
    DigestFormat, Filter, Kind, ReportOptions, Settings, Sort, Window, parse_at,
};
use isukit_analyze::slow::ShapeStyle;

/// Rank the hotspots in slow-query and access logs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    isukit digest /var/log/mysql/slow.log\n  \
    isukit digest access.log slow.log            which route causes which statements\n  \
    ssh db1 cat slow.log.gz | isukit digest -\n  \
    isukit digest access.log --where 'status >= 500' --sort errors\n  \
    isukit digest access.log --nginx-conf /etc/nginx/nginx.conf --route '/@:user/:post'\n  \
    isukit digest slow.log --mysql mysql://root@127.0.0.1/isucon    plans, indexes, settings\n  \
    isukit digest slow.log --save before.snapshot\n\n\
    Without --as the kind of each log is found by its first lines; .gz and .zst are read as they are.")]
pub(crate) struct DigestArgs {
    /// Logs, saved digests, or `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// What the logs are: slow, ltsv, combined, json, envoy, events, snapshot or nginx:'FORMAT'
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<String>,

    /// Take the format of the access log from the log_format of this nginx.conf
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    pub(super) nginx_conf: Option<PathBuf>,

    /// The log_format's name, where --nginx-conf has several
    #[arg(long, value_name = "NAME", requires = "nginx_conf")]
    log_format: Option<String>,

    /// Rank by total, count, mean, p95 (any percentile), max, errors, bytes or rows (examined)
    #[arg(long, default_value = "total", value_name = "KEY")]
    sort: String,

    /// Groups to show [default: 10 in text and markdown, all elsewhere]
    #[arg(long, short = 'n', value_name = "N")]
    pub(super) limit: Option<usize>,

    /// Write all of the report, even where it does not fit the terminal
    #[arg(long)]
    pub(super) all: bool,

    /// Percentiles of the time to report
    #[arg(
        long,
        default_value = "50,95,99",
        value_delimiter = ',',
        value_name = "LIST"
    )]
    percentiles: Vec<f64>,

    /// Threads that parse [default: one a CPU]
    #[arg(long, short = 't', value_name = "N")]
    threads: Option<usize>,

    /// Group paths by this pattern, as in '/api/teams/:id' or 'GET /files/*' (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub(super) route: Vec<String>,

    /// Group paths that match this regular expression (may be repeated)
    #[arg(long, value_name = "REGEX")]
    pub(super) route_regex: Vec<String>,

    /// Group by these query keys too, or by `all` of them
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    query_keys: Vec<String>,

    /// Only what this CEL condition holds for: status, path, method, time, upstream, ua, client, user,
    /// db, query, rows_examined ...
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,

    /// Only from this time on: 2026-11-20T10:00:00Z, '2026-11-20 10:00' (UTC), epoch seconds, or 10m ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Name statements by pt-query-digest's fingerprints and ids
    #[arg(long)]
    pub(super) pt_compat: bool,

    /// Keep the digest in a file, to be merged (`digest`) and compared (`diff`) later
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// Ask this database for plans of the worst statements and for its settings (read-only, mysql://user:password@host:port/db);
    /// a password is better given in ISUKIT_MYSQL
    #[arg(long, value_name = "URL", env = "ISUKIT_MYSQL", hide_env_values = true)]
    pub(super) mysql: Option<String>,

    /// Go on reading as the log grows, across rotation, until Ctrl-C
    #[arg(long)]
    pub(super) follow: bool,

    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: FormatArg,

    /// Write the report to a file
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// [`DigestFormat`], as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum FormatArg {
    /// For people at a terminal
    #[default]
    Text,
    /// For a pull request or a wiki
    Markdown,
    /// One group a line, tabs between the values
    Tsv,
    /// One group a line, RFC 4180
    Csv,
    /// For programs: isukit.digest/1
    Json,
}

impl FormatArg {
    pub(super) fn format(self) -> DigestFormat {
        match self {
            Self::Text => DigestFormat::Text,
            Self::Markdown => DigestFormat::Markdown,
            Self::Tsv => DigestFormat::Tsv,
            Self::Csv => DigestFormat::Csv,
            Self::Json => DigestFormat::Json,
        }
    }

    /// Whether it is text.
    pub(super) fn is_text(self) -> bool {
        self == Self::Text
    }

    /// Whether a person reads it from the top.
    pub(super) fn is_for_people(self) -> bool {
        matches!(self, Self::Text | Self::Markdown)
    }
}

impl DigestArgs {
    /// How logs are read. `now_us` is the time, in microseconds since the Unix epoch.
    pub(super) fn settings(&self, now_us: i64) -> Result<Settings> {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let at = |text: &Option<String>, option: &str| {
            let at = text.as_deref().map(|text| parse_at(text, now_us));
            at.transpose().with_context(|| format!("--{option}"))
        };
        Ok(Settings {
            kind: self.kind()?,
            threads: self.threads.unwrap_or(cpus).clamp(1, 256),
            window: Window {
                since_us: at(&self.since, "since")?,
                until_us: at(&self.until, "until")?,
            },
            filter: self
                .condition
                .as_deref()
                .map(Filter::new)
                .transpose()
                .context("--where")?,
            routes: self.routes()?,
            shapes: match self.pt_compat {
                true => ShapeStyle::PtCompat,
                false => ShapeStyle::Own,
            },
            correlates: self.files.len() > 1 || self.save.is_some(),
        })
    }

    fn kind(&self) -> Result<Option<Kind>> {
        if let Some(path) = &self.nginx_conf {
            let conf = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let format = Format::from_nginx_conf(&conf, self.log_format.as_deref())
                .with_context(|| path.display().to_string())?;
            return Ok(Some(Kind::Access(format)));
        }
        let kind = self.kind.as_deref().map(str::parse::<Kind>);
        kind.transpose().context("--as")
    }

    fn routes(&self) -> Result<NamerOptions> {
        let query = match self.query_keys.as_slice() {
            [] => QueryKeys::No,
            [all] if all == "all" => QueryKeys::All,
            keys => QueryKeys::Some(keys.to_vec()),
        };
        let options = NamerOptions {
            routes: self.route.clone(),
            regexes: self.route_regex.clone(),
            query,
        };
        // What cannot be used is told before the first log is opened.
        Namer::new(options.clone())?;
        Ok(options)
    }

    /// How the report is made.
    pub(super) fn report_options(&self) -> Result<ReportOptions> {
        for p in &self.percentiles {
            ensure!(
                (0.0..=100.0).contains(p),
                "--percentiles: {p} is not between 0 and 100"
            );
        }
        Ok(ReportOptions {
            sort: parse_sort(&self.sort)?,
            percentiles: self.percentiles.clone(),
            limit: match self.format.is_for_people() {
                true => usize::MAX,
                false => self.limit.unwrap_or(usize::MAX),
            },
            pt_compat: self.pt_compat,
            given_routes: [self.route.clone(), self.route_regex.clone()].concat(),
        })
    }
}

fn parse_sort(text: &str) -> Result<Sort> {
    Ok(match text {
        "total" => Sort::Total,
        "count" => Sort::Count,
        "mean" => Sort::Mean,
        "max" => Sort::Max,
        "errors" => Sort::Errors,
        "bytes" => Sort::Bytes,
        "rows" => Sort::Rows,
        other => {
            let percentile = other.strip_prefix('p').and_then(|p| p.parse::<f64>().ok());
            match percentile.filter(|p| (0.0..=100.0).contains(p)) {
                Some(p) => Sort::Percentile((p * 1_000.0).round() as u32),
                None => bail!(
                    "--sort: there is no `{other}`; give total, count, mean, p95 (any percentile), \
                     max, errors, bytes or rows"
                ),
            }
        }
    })
}
