//! Times as people read them: how long ago, and exactly.

use serde::Serialize;

use crate::model::Timestamp;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An instant as pages show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct When {
    /// Such as `3 minutes ago` or `in 2 days`.
    pub relative: String,
    /// RFC 3339 in UTC, to the second.
    pub exact: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { relative: relative(at, now), exact: exact(at) }
    }
}

/// RFC 3339 in UTC, to the second. A time that no calendar has is the last there is.
pub fn exact(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    format!("{at:.0}")
}

fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = now.0.saturating_sub(at.0);
    let text = match distance.saturating_abs() {
        length if length < 5 * SECOND => return "just now".into(),
        length if length < MINUTE => plural(length / SECOND, "second"),
        length if length < HOUR => plural(length / MINUTE, "minute"),
        length if length < DAY => plural(length / HOUR, "hour"),
        length if length < 60 * DAY => plural(length / DAY, "day"),
        length if length < 730 * DAY => plural(length / (30 * DAY), "month"),
        length => plural(length / (365 * DAY), "year"),
    };
    if distance < 0 { format!("in {text}") } else { format!("{text} ago") }
}

fn plural(count: i64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_largest_unit_that_fits() {
        let now = Timestamp(1_800_000_000_000);
        for (before, text) in [
            (0, "just now"),
            (-4_999, "just now"),
            (5_000, "5 seconds ago"),
            (119_999, "1 minute ago"),
            (7_200_000, "2 hours ago"),
            (-90_000, "in 1 minute"),
            (3 * DAY, "3 days ago"),
            (-61 * DAY, "in 2 months"),
            (800 * DAY, "2 years ago"),
        ] {
            assert_eq!(relative(now.plus_millis(-before), now), text);
        }
        assert_eq!(exact(now), "2027-01-15T08:00:00Z");
        assert_eq!(When::new(Timestamp(i64::MAX), now).exact, exact(Timestamp(i64::MAX)));
    }
}
