//! `app-auth-admin import`: sends a file to a running admin extension piece by piece, shows how far it is, remembers where
//! it stopped, and puts the lines that were refused into a file of their own, to be mended and imported again.

mod pieces;
mod progress;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use self::pieces::{Format, Piece, Pieces};
use self::progress::Progress;
pub use self::progress::digest;
use crate::model::PlainSecret;

/// What to import, and where to.
pub struct Import {
    pub file: PathBuf,
    /// The admin extension.
    pub url: Url,
    pub token: Option<PlainSecret>,
    /// Leave developers that exist as they are, instead of refusing their lines.
    pub skip: bool,
    /// Check everything, write nothing.
    pub dry_run: bool,
    /// Lines of one request.
    pub lines_per_request: usize,
}

/// The part of the answer that is needed here; see `api::legacy::import::ImportReport`.
#[derive(Deserialize)]
struct Report {
    created: u64,
    skipped: u64,
    refused: u64,
    errors: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    line: u64,
    error: Value,
}

/// How often a request is sent again while the admin extension is away, and how long to wait before.
const WAITS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Longest time one request may take.
const REQUEST_TIME: Duration = Duration::from_mins(10);

/// Imports the file. An error if it could not be read or sent to its end, or if lines were refused.
pub async fn run(import: Import) -> Result<()> {
    let format = Format::of(&import.file).with_context(|| {
        format!("{}: expected a name ending in .csv, .jsonl or .ndjson", import.file.display())
    })?;
    let mut progress = Progress::open(&import.file, import.dry_run)?;
    let mut pieces = Pieces::open(&import.file, format, progress.state.offset, progress.state.line)?;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIME)
        .build()
        .context("no HTTP client")?;
    let bar = bar(pieces.length());
    if progress.state.line > 0 {
        bar.println(format!("going on after line {}", progress.state.line));
    }
    // Of a request whose answer never came it is not known whether it was carried out.
    let mut in_doubt = progress.state.line > 0;
    loop {
        bar.set_position(progress.state.offset);
        bar.set_message(progress.state.summary());
        let Some(piece) = pieces.next(import.lines_per_request)? else { break };
        let report = send(&http, &import, format, &piece, in_doubt).await;
        let report = report.with_context(|| stopped(&import.file, &progress))?;
        in_doubt = false;
        let refused: Vec<_> = report
            .errors
            .iter()
            .filter_map(|refused| Some((piece.original(refused.line)?, &refused.error)))
            .collect();
        progress.state.created += report.created;
        progress.state.skipped += report.skipped;
        progress.state.refused += report.refused;
        progress.advance(pieces.header(), &refused, piece.end, piece.last_line)?;
    }
    bar.finish_and_clear();
    finish(progress)
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn stopped(file: &Path, progress: &Progress) -> String {
    format!(
        "stopped after line {} ({}); run the same command again to go on with {}",
        progress.state.line,
        progress.state.summary(),
        file.display()
    )
}

fn finish(progress: Progress) -> Result<()> {
    let (state, refused) = (progress.state.clone(), progress.finish()?);
    eprintln!("{}", state.summary());
    match refused {
        None => Ok(()),
        Some(files) => bail!(
            "{} lines were refused; they are in {}, the reasons in {}",
            state.refused,
            files.lines.display(),
            files.reasons.display()
        ),
    }
}

/// Sends a piece until it is answered.
async fn send(
    http: &reqwest::Client,
    import: &Import,
    format: Format,
    piece: &Piece,
    mut in_doubt: bool,
) -> Result<Report> {
    let mut waits = WAITS.iter();
    loop {
        let conflict = if import.skip || in_doubt { "skip" } else { "refuse" };
        let url =
            import.url.join("developers/import").context("url: expected a URL like http://127.0.0.1:8005")?;
        let mut request = http
            .post(url)
            .query(&[("on_conflict", conflict), ("dry_run", if import.dry_run { "true" } else { "false" })])
            .header("Content-Type", format.media())
            .body(piece.body.clone());
        if let Some(token) = &import.token {
            request = request.bearer_auth(token.expose());
        }
        let failure = match request.send().await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                return answer.json().await.context("the answer is not that of an admin extension");
            }
            Ok(answer) => {
                let status = answer.status();
                let text: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
                if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                    bail!("{} answered {status}: {text}", import.url);
                }
                format!("{} answered {status}", import.url)
            }
            Err(error) => error.without_url().to_string(),
        };
        in_doubt = !import.dry_run;
        match waits.next() {
            Some(wait) => tokio::time::sleep(*wait).await,
            None => bail!("{} is away: {failure}", import.url),
        }
    }
}
