//! What an import remembers beside its file: how far it is, and which lines were refused and why.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pieces::Original;

/// How far an import is.
#[derive(Serialize, Deserialize, Default, Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Of the file, so that the progress of one is not taken for another's.
    digest: String,
    dry_run: bool,
    /// Where the file goes on.
    pub offset: u64,
    /// The last line that was answered.
    pub line: u64,
    pub created: u64,
    pub skipped: u64,
    pub refused: u64,
    /// Sizes of the two files of refused lines.
    lines_written: u64,
    reasons_written: u64,
}

impl State {
    pub fn summary(&self) -> String {
        let verb = if self.dry_run { "would be created" } else { "created" };
        format!("{} {verb}, {} skipped, {} refused", self.created, self.skipped, self.refused)
    }
}

/// Where the refused lines are.
pub struct RefusedFiles {
    pub lines: PathBuf,
    pub reasons: PathBuf,
}

pub struct Progress {
    pub state: State,
    path: PathBuf,
    lines: PathBuf,
    reasons: PathBuf,
}

impl Progress {
    /// Of an earlier run over the same file, or from the start.
    pub fn open(file: &Path, dry_run: bool) -> Result<Self> {
        let digest = digest(file)?;
        let extension = file.extension().unwrap_or_default();
        let mut refused = OsString::from("refused.");
        refused.push(extension);
        let mut progress = Self {
            state: State::default(),
            path: beside(file, "progress.json".as_ref()),
            lines: beside(file, &refused),
            reasons: beside(file, "reasons.jsonl".as_ref()),
        };
        if let Ok(text) = fs::read_to_string(&progress.path) {
            progress.state = serde_json::from_str(&text)
                .with_context(|| format!("{}: delete it to start anew", progress.path.display()))?;
            if progress.state.digest != digest || progress.state.dry_run != dry_run {
                bail!(
                    "{} is of another run (another content, or with and without --dry-run); delete it to start anew",
                    progress.path.display()
                );
            }
        } else {
            progress.state = State { digest, dry_run, ..State::default() };
        }
        // What was written after the state was remembered will be written again.
        cut(&progress.lines, progress.state.lines_written)?;
        cut(&progress.reasons, progress.state.reasons_written)?;
        Ok(progress)
    }

    /// Remembers that the file is answered up to here. What is refused is on the disk before that is.
    pub fn advance(
        &mut self,
        header: &[u8],
        refused: &[(Original<'_>, &Value)],
        offset: u64,
        line: u64,
    ) -> Result<()> {
        if !refused.is_empty() {
            let mut lines = if self.state.lines_written == 0 { header.to_vec() } else { Vec::new() };
            let mut reasons = Vec::new();
            for (original, error) in refused {
                lines.extend_from_slice(original.text);
                writeln!(reasons, "{}", json!({"line": original.line, "error": error}))?;
            }
            self.state.lines_written += append(&self.lines, &lines)?;
            self.state.reasons_written += append(&self.reasons, &reasons)?;
        }
        (self.state.offset, self.state.line) = (offset, line);
        let next = beside(&self.path, "next".as_ref());
        let mut file = File::create(&next).with_context(|| next.display().to_string())?;
        file.write_all(&serde_json::to_vec(&self.state)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        Ok(())
    }

    /// The file is done; answers where its refused lines are, if any.
    pub fn finish(self) -> Result<Option<RefusedFiles>> {
        if self.path.exists() {
            fs::remove_file(&self.path)?;
        }
        let refused = self.state.refused > 0;
        Ok(refused.then_some(RefusedFiles { lines: self.lines, reasons: self.reasons }))
    }
}

/// What tells the content of one file from another's.
pub fn digest(file: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(file).with_context(|| file.display().to_string())?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// `file.csv` and `progress.json` make `file.csv.progress.json`.
fn beside(file: &Path, suffix: &std::ffi::OsStr) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn cut(path: &Path, length: u64) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    if length == 0 {
        fs::remove_file(path)?;
        return Ok(());
    }
    Ok(OpenOptions::new().write(true).open(path)?.set_len(length)?)
}

fn append(path: &Path, bytes: &[u8]) -> Result<u64> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(bytes.len() as u64)
}
