//! Takes a file apart into pieces of whole lines that fit one request, in constant memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// How the file is written, by the ending of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Csv,
    JsonLines,
}

impl Format {
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }

    pub const fn media(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::JsonLines => "application/x-ndjson",
        }
    }
}

/// Longest line, in bytes.
const LINE_MAX: u64 = 8 * 1024 * 1024;
/// A piece is full when it has so many bytes.
const PIECE_MAX: usize = 16 * 1024 * 1024;

/// Some lines of the file, as one request sends them.
pub struct Piece {
    /// With the header, if the format has one.
    pub body: Vec<u8>,
    /// Line in the body, line in the file, and the line itself.
    lines: Vec<(u64, u64, Vec<u8>)>,
    /// Where the file goes on after this.
    pub end: u64,
    /// The last line of the file that is in it.
    pub last_line: u64,
}

/// A line of the file.
pub struct Original<'a> {
    pub line: u64,
    pub text: &'a [u8],
}

impl Piece {
    /// The line of the file that a line of the body was made from.
    pub fn original(&self, line: u64) -> Option<Original<'_>> {
        let found = self.lines.iter().rev().find(|(in_body, ..)| *in_body <= line)?;
        Some(Original { line: found.1, text: &found.2 })
    }
}

/// Reads a file from where an earlier run stopped.
pub struct Pieces {
    format: Format,
    reader: BufReader<File>,
    header: Vec<u8>,
    offset: u64,
    line: u64,
    length: u64,
}

impl Pieces {
    /// From a byte and the number of the line before it.
    pub fn open(path: &Path, format: Format, offset: u64, line: u64) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let length = file.metadata()?.len();
        let mut pieces =
            Self { format, reader: BufReader::new(file), header: Vec::new(), offset: 0, line: 0, length };
        if format == Format::Csv {
            pieces.header =
                pieces.record()?.with_context(|| format!("{}: there is no header", path.display()))?;
        }
        if offset > pieces.offset {
            pieces.reader.seek(SeekFrom::Start(offset))?;
            (pieces.offset, pieces.line) = (offset, line);
        }
        Ok(pieces)
    }

    /// Bytes of the whole file.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What comes before the lines of every piece.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The next lines, at most so many; `None` at the end.
    pub fn next(&mut self, most: usize) -> Result<Option<Piece>> {
        let mut piece = Piece { body: self.header.clone(), lines: Vec::new(), end: 0, last_line: 0 };
        let mut in_body = 1 + newlines(&self.header);
        while piece.lines.len() < most && piece.body.len() < PIECE_MAX {
            let first = self.line + 1;
            let Some(record) = self.record()? else { break };
            if record.trim_ascii().is_empty() {
                continue;
            }
            piece.lines.push((in_body, first, record.clone()));
            in_body += newlines(&record);
            piece.body.extend_from_slice(&record);
        }
        (piece.end, piece.last_line) = (self.offset, self.line);
        Ok((!piece.lines.is_empty()).then_some(piece))
    }

    /// A line, or in CSV as many as a quoted value spans; it ends with a line break.
    fn record(&mut self) -> Result<Option<Vec<u8>>> {
        let mut record = Vec::new();
        loop {
            let before = record.len() as u64;
            let read = self.reader.by_ref().take(LINE_MAX + 1 - before).read_until(b'\n', &mut record)?;
            if read == 0 {
                break;
            }
            self.offset += read as u64;
            if record.len() as u64 > LINE_MAX {
                bail!("line {} is longer than {LINE_MAX} bytes", self.line + 1);
            }
            if record.ends_with(b"\n") {
                self.line += 1;
            }
            // An odd number of quotes: a value goes on in the next line. A doubled quote changes nothing.
            if self.format == Format::JsonLines || count(&record, b'"').is_multiple_of(2) {
                break;
            }
        }
        if record.is_empty() {
            return Ok(None);
        }
        if !record.ends_with(b"\n") {
            record.push(b'\n');
            self.line += 1;
        }
        Ok(Some(record))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    count(bytes, b'\n')
}

#[expect(clippy::naive_bytecount, reason = "sending the lines takes longer than counting them")]
fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.iter().filter(|byte| **byte == wanted).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str, content: &str, most: usize) -> Vec<(String, u64, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut pieces = Pieces::open(&path, Format::of(&path).unwrap(), 0, 0).unwrap();
        let mut found = Vec::new();
        while let Some(piece) = pieces.next(most).unwrap() {
            // Whoever starts where a piece ended reads on as if nothing had happened.
            pieces = Pieces::open(&path, Format::of(&path).unwrap(), piece.end, piece.last_line).unwrap();
            found.push((String::from_utf8(piece.body.clone()).unwrap(), piece.end, piece.last_line));
        }
        found
    }

    #[test]
    fn a_piece_of_csv_has_the_header_and_whole_records() {
        let content = "email,x\na@b.c,\"one\ntwo\"\n\nd@b.c,\"\"\"\"\ne@b.c,";
        assert_eq!(
            all("f.csv", content, 1),
            [
                ("email,x\na@b.c,\"one\ntwo\"\n".into(), 24, 3),
                ("email,x\nd@b.c,\"\"\"\"\n".into(), 36, 5),
                ("email,x\ne@b.c,\n".into(), 42, 6),
            ]
        );
    }

    #[test]
    fn a_refused_line_of_the_body_is_found_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.csv");
        std::fs::write(&path, "email,x\n\na@b.c,\"one\ntwo\"\nd@b.c,3\n").unwrap();
        let piece = Pieces::open(&path, Format::Csv, 0, 0).unwrap().next(9).unwrap().unwrap();
        let found = |line| piece.original(line).map(|found| (found.line, found.text.to_vec()));
        assert_eq!(found(2), Some((3, b"a@b.c,\"one\ntwo\"\n".to_vec())));
        assert_eq!(found(4), Some((5, b"d@b.c,3\n".to_vec())));
    }

    #[test]
    fn lines_of_json_are_taken_as_they_are() {
        assert_eq!(
            all("f.jsonl", "{\"a\":\"\\\"\"}\n{}\n{}", 2),
            [("{\"a\":\"\\\"\"}\n{}\n".into(), 14, 2), ("{}\n".into(), 16, 3)]
        );
    }
}
