//! An application's traffic as a picture and as a table: requests over time, refusals by reason, and what each service saw.

use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::named;
use super::extract::{Path, Query};
use super::failure::Failure;
use super::frame::{self, Answer, Frame};
use super::when;
use crate::model::ApplicationDetail;
use crate::model::traffic::{Outcome, Period, Traffic};

/// The size of the picture, in its own units.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 200;
/// What the labels take at the left and below.
const LEFT: u64 = 48;
const BELOW: u64 = 22;
const ABOVE: u64 = 8;
/// Labels along the time.
const LABELS: usize = 6;

#[derive(Deserialize)]
pub struct Arguments {
    #[serde(default)]
    pub period: String,
}

/// A link to another period.
#[derive(Serialize)]
struct Tab {
    period: &'static str,
    name: &'static str,
    current: bool,
}

#[derive(Serialize)]
pub struct Shown {
    tabs: Vec<Tab>,
    period: &'static str,
    allowed: u64,
    refused: u64,
    chart: Chart,
    reasons: Vec<(String, u64)>,
    services: Vec<ServiceLine>,
    rows: Vec<Row>,
    last_used: Option<when::When>,
}

#[derive(Serialize)]
struct ServiceLine {
    name: String,
    allowed: u64,
    refused: u64,
    reasons: Vec<(String, u64)>,
}

/// A step, as the table has it.
#[derive(Serialize)]
struct Row {
    at: String,
    allowed: u64,
    refused: u64,
}

/// The picture.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Chart {
    width: u64,
    height: u64,
    bars: Vec<Bar>,
    lines: Vec<Line>,
    labels: Vec<Label>,
}

/// One step: what was let through, and on top of it what was refused.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Bar {
    x: u64,
    width: u64,
    allowed_y: u64,
    allowed_height: u64,
    refused_y: u64,
    refused_height: u64,
    /// In words, for who points at it.
    title: String,
}

/// A number of requests, as a line across.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Line {
    y: u64,
    requests: u64,
}

#[derive(Serialize, PartialEq, Eq, Debug)]
struct Label {
    x: u64,
    text: String,
}

/// What a page shows of an application's traffic.
pub async fn of(frame: &Frame, detail: &ApplicationDetail, period: &str) -> Result<Shown, Failure> {
    let period = Period::parse(period).unwrap_or(Period::Day);
    let id = detail.application.id;
    let traffic = frame.app.store.traffic(id, period).await?;
    let last_used = frame.app.store.last_used(&[id]).await?.first().map(|(_, at)| *at);
    let tabs = Period::ALL.map(|other| Tab {
        period: other.as_str(),
        name: match other {
            Period::Hour => "Last hour",
            Period::Day => "Last day",
            Period::Week => "Last week",
        },
        current: other == period,
    });
    Ok(Shown {
        tabs: tabs.into(),
        period: period.as_str(),
        allowed: traffic.total.allowed,
        refused: traffic.total.refused,
        chart: Chart::new(&traffic, period),
        reasons: reasons(&traffic.by_outcome),
        services: traffic
            .by_service
            .iter()
            .map(|of| ServiceLine {
                name: of.name.clone().unwrap_or_else(|| format!("deleted service {}", of.service)),
                allowed: of.requests.allowed,
                refused: of.requests.refused,
                reasons: reasons(&of.by_outcome),
            })
            .collect(),
        rows: traffic
            .points
            .iter()
            .rev()
            .filter(|point| point.requests.total() > 0)
            .map(|point| Row {
                at: when::exact(point.at),
                allowed: point.requests.allowed,
                refused: point.requests.refused,
            })
            .collect(),
        last_used: frame.when_if(last_used),
    })
}

/// The section alone, for scripts that look again or choose another period.
pub async fn piece(frame: Frame, Path(id): Path<Uuid>, Query(arguments): Query<Arguments>) -> Answer {
    let detail = named(&frame, id).await?;
    let traffic = of(&frame, &detail, &arguments.period).await?;
    let id = id.to_string();
    frame::piece(
        "traffic.html",
        context! { application => context! { id }, traffic => minijinja::Value::from(Serde(traffic)) },
    )
}

/// Refusals in words, the most frequent first.
fn reasons(by_outcome: &[(Outcome, u64)]) -> Vec<(String, u64)> {
    let refused = by_outcome.iter().filter(|(outcome, _)| *outcome != Outcome::Allowed);
    let mut reasons: Vec<_> = refused.map(|(outcome, count)| (words(*outcome), *count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

fn words(outcome: Outcome) -> String {
    match outcome {
        Outcome::DeveloperNotApproved => "the developer is not approved".into(),
        Outcome::NoConnection => "no connection".into(),
        Outcome::Expired => "an expired credential".into(),
        other => other.as_str().replace('_', " "),
    }
}

impl Chart {
    fn new(traffic: &Traffic, period: Period) -> Self {
        let most = traffic.points.iter().map(|point| point.requests.total()).max().unwrap_or(0);
        let top = round_up(most);
        let plot = HEIGHT - BELOW - ABOVE;
        let scaled = |requests: u64| {
            let scaled = u128::from(requests) * u128::from(plot) / u128::from(top);
            u64::try_from(scaled).unwrap_or(plot)
        };
        // Of all that is there something is seen.
        let tall = |requests: u64| scaled(requests).max(u64::from(requests > 0));
        let count = (traffic.points.len() as u64).max(1);
        let slot = |n: usize| LEFT + (WIDTH - LEFT) * n as u64 / count;
        let bars = traffic.points.iter().enumerate().filter(|(_, point)| point.requests.total() > 0);
        let bars = bars.map(|(n, point)| {
            let (allowed, refused) = (tall(point.requests.allowed), tall(point.requests.refused));
            let base = HEIGHT - BELOW;
            let allowed_y = base.saturating_sub(allowed);
            Bar {
                x: slot(n) + 1,
                width: slot(n + 1).saturating_sub(slot(n)).saturating_sub(2).max(1),
                allowed_y,
                allowed_height: allowed,
                refused_y: allowed_y.saturating_sub(refused),
                refused_height: refused,
                title: format!(
                    "{}: {} let through, {} refused",
                    when::exact(point.at),
                    point.requests.allowed,
                    point.requests.refused
                ),
            }
        });
        let lines = [0, top / 2, top].map(|requests| Line { y: HEIGHT - BELOW - scaled(requests), requests });
        let every = traffic.points.len().div_ceil(LABELS).max(1);
        let labels = traffic.points.iter().enumerate().step_by(every);
        let labels =
            labels.map(|(n, point)| Label { x: slot(n), text: label(&when::exact(point.at), period) });
        Self {
            width: WIDTH,
            height: HEIGHT,
            bars: bars.collect(),
            lines: lines.into(),
            labels: labels.collect(),
        }
    }
}

/// What is told of an exact time along the axis: the hour, or for a week the day.
fn label(exact: &str, period: Period) -> String {
    let (from, to) = if period == Period::Week { (5, 10) } else { (11, 16) };
    exact.get(from..to).unwrap_or_default().to_owned()
}

/// The next number that is even and easy to read: 2, 4, 10, 20, 40, 100, …
fn round_up(most: u64) -> u64 {
    let mut scale: u64 = 1;
    loop {
        for step in [2, 4, 10] {
            let top = scale.saturating_mul(step);
            if top >= most || top == u64::MAX {
                return top;
            }
        }
        scale = scale.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::traffic::Counted;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn bars_stay_within_the_picture_whatever_was_counted() {
        for most in [0, 1, 2, 3, 99, 12_345, u64::from(u32::MAX), u64::MAX / 4] {
            for period in Period::ALL {
                let (from, _) = period.range(NOW);
                let counted = |outcome, requests| Counted { of: from, outcome, requests };
                let by_time = vec![counted(Outcome::Allowed, most), counted(Outcome::Revoked, most / 3)];
                let chart = Chart::new(&Traffic::new(period, NOW, by_time, Vec::new()), period);
                assert_eq!(chart.bars.len(), usize::from(most > 0));
                for bar in &chart.bars {
                    assert!(bar.x >= LEFT && bar.x + bar.width <= WIDTH);
                    assert!(bar.allowed_height > 0 && bar.refused_y + 2 >= ABOVE);
                    assert_eq!(bar.refused_y + bar.refused_height, bar.allowed_y);
                    assert_eq!(bar.allowed_y + bar.allowed_height, HEIGHT - BELOW);
                }
                assert!(chart.labels.len() <= LABELS + 1);
            }
        }
    }

    #[test]
    fn the_scale_ends_at_a_number_that_is_easy_to_read() {
        for (most, top) in [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (21, 40), (41, 100), (1001, 2000)] {
            assert_eq!(round_up(most), top);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
