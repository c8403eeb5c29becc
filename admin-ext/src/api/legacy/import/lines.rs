//! Takes the file of an import apart: each line of JSON or row of CSV becomes the members of one developer, or the reason
//! why it cannot be read. Knows nothing of developers.

use serde_json::{Map, Value};

use crate::api::legacy::conventions::{Error, Input, body, form};
use crate::model::{DeveloperStatus, StatusCode as _};

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// RFC 4180, the first line names the members: `email,status,meta.full_name`.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Format {
    /// By the type of the body.
    pub fn of_media(media: &str) -> Option<Self> {
        match media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/csv" | "application/csv" => Some(Self::Csv),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/json-lines"
            | "application/x-jsonlines" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// One line of the file.
pub struct Line {
    /// From 1.
    pub number: u64,
    pub members: Result<Input, Error>,
}

/// The lines of a file, without those that are blank. An error if the file as a whole cannot be read.
pub fn lines(format: Format, file: &[u8]) -> Result<Vec<Line>, Error> {
    match format {
        Format::Csv => rows(file),
        Format::JsonLines => Ok(json_lines(file)),
    }
}

fn json_lines(file: &[u8]) -> Vec<Line> {
    (1..)
        .zip(file.split(|byte| *byte == b'\n'))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| {
            let members = body::json(line).map(|members| Input { members, coerce: false });
            Line { number, members }
        })
        .collect()
}

fn rows(file: &[u8]) -> Result<Vec<Line>, Error> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).flexible(true).from_reader(file);
    let refuse = |reason: &str| Error::bad_request(format!("Cannot parse CSV body: {reason}"));
    let header = reader.headers().map_err(|_| refuse("the first line is not UTF-8"))?.clone();
    let names: Vec<_> = header.iter().map(member).collect();
    if names.iter().all(String::is_empty) {
        return Err(refuse("the first line must name the members, like email,status,meta.full_name"));
    }
    if let Some(twice) =
        names.iter().enumerate().find(|(place, name)| names.iter().take(*place).any(|n| n == *name))
    {
        return Err(refuse(&format!("the column '{}' is there twice", twice.1)));
    }
    let mut lines = Vec::new();
    for row in reader.records() {
        match row {
            Ok(row) => {
                let number = row.position().map_or(0, |position| line_number(file, position));
                lines.push(Line { number, members: members(&names, &row) });
            }
            Err(error) => {
                let number = error.position().map_or(0, |position| line_number(file, position));
                lines.push(Line { number, members: Err(refuse("a value is not UTF-8")) });
            }
        }
    }
    Ok(lines)
}

/// The line a row begins at. The reader's position is before the blank lines that it skips.
fn line_number(file: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let blank =
        file.get(start..).unwrap_or_default().iter().take_while(|byte| matches!(**byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

/// The member a column is for. What `GET /developers/export` names its columns is understood.
fn member(column: &str) -> String {
    match column {
        "Email" => "email".to_owned(),
        "Status" => "status".to_owned(),
        other => other.to_owned(),
    }
}

fn members(names: &[String], row: &csv::StringRecord) -> Result<Input, Error> {
    if row.len() != names.len() {
        let (expected, found) = (names.len(), row.len());
        return Err(Error::bad_request(format!("expected {expected} columns, found {found}")));
    }
    let mut fields = Vec::with_capacity(names.len());
    for (name, value) in names.iter().zip(row) {
        let value = value.trim();
        match name.as_str() {
            _ if value.is_empty() => {}
            "status" => fields.push((name.clone(), status(value))),
            // Several in one column.
            "roles" => {
                fields.extend(value.split(';').map(|role| ("roles[]".to_owned(), role.trim().to_owned())));
            }
            _ => fields.push((name.clone(), value.to_owned())),
        }
    }
    let decoded = form::decode(fields)
        .map_err(|error| Error::bad_request(format!("Cannot parse CSV body: {error}")))?;
    Ok(Input { members: decoded, coerce: true })
}

/// The number of a status that is written as a word.
fn status(text: &str) -> String {
    let named = DeveloperStatus::ALL.into_iter().find(|status| status.word() == text);
    named.map_or_else(|| text.to_owned(), |status| status.code().to_string())
}

/// Takes a list of objects out of the members of an object.
pub fn take_list(
    members: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<Map<String, Value>>>, Error> {
    let wrong = |problem: &str| Error::violation(name, problem);
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(elements)) => elements
            .into_iter()
            .map(|element| match element {
                Value::Object(members) => Ok(members),
                _ => Err(wrong("expected a list of records")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong("expected an array")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(format: Format, file: &str) -> Vec<(u64, Option<Value>)> {
        lines(format, file.as_bytes())
            .unwrap()
            .into_iter()
            .map(|line| (line.number, line.members.ok().map(|input| Value::Object(input.members))))
            .collect()
    }

    #[test]
    fn rows_become_the_members_their_columns_name() {
        let file = "email,status,roles,meta.full_name\na@b.c,APPROVED,x; y,\"A, \"\"B\"\"\nC\"\n\nd@b.c,1,,D\ntoo,few\n";
        assert_eq!(
            read(Format::Csv, file),
            [
                (
                    2,
                    Some(
                        json!({"email": "a@b.c", "status": "0", "roles": ["x", "y"], "meta": {"full_name": "A, \"B\"\nC"}})
                    )
                ),
                (5, Some(json!({"email": "d@b.c", "status": "1", "meta": {"full_name": "D"}}))),
                (6, None),
            ]
        );
        assert_eq!(
            read(Format::Csv, "Email, Status\na@b.c,REVOKED\n"),
            [(2, Some(json!({"email": "a@b.c", "status": "3"})))]
        );
    }

    #[test]
    fn lines_of_json_are_read_one_by_one() {
        let file = "{\"email\": \"a@b.c\"}\r\n\n[]\n{\"email\": 7}";
        let read = read(Format::JsonLines, file);
        assert_eq!(read, [(1, Some(json!({"email": "a@b.c"}))), (3, None), (4, Some(json!({"email": 7})))]);
    }

    #[test]
    fn a_file_without_usable_columns_is_refused_as_a_whole() {
        for file in ["", "\n", "email,email\n", "\u{0}"] {
            assert_eq!(lines(Format::Csv, file.as_bytes()).is_err(), file != "\u{0}", "{file:?}");
        }
    }
}
