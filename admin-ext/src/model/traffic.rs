//! How much applications use services, as it is shown: requests of a period, in even steps. Knows nothing of how they were
//! counted.

use std::collections::BTreeMap;

use app_auth_core::ids::ServiceId;
pub use app_auth_core::traffic::Outcome;

use super::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What is kept of traffic: requests are added up for so many milliseconds, and kept for so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    Minute,
    Hour,
}

impl Span {
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    pub const fn millis(self) -> i64 {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
        }
    }

    /// How long it is kept: what the longest period shows of it, and a bit.
    pub const fn kept_millis(self) -> i64 {
        match self {
            Self::Minute => 2 * HOUR,
            Self::Hour => 8 * 24 * HOUR,
        }
    }

    /// When the one begins in which an instant lies.
    pub const fn start(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_euclid(self.millis()) * self.millis())
    }
}

/// How far back to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    Hour,
    Day,
    Week,
}

impl Period {
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == text)
    }

    /// Of what it is made.
    pub const fn span(self) -> Span {
        match self {
            Self::Hour => Span::Minute,
            Self::Day | Self::Week => Span::Hour,
        }
    }

    /// Milliseconds from one point to the next: a whole number of spans.
    pub const fn step(self) -> i64 {
        match self {
            Self::Hour => MINUTE,
            Self::Day => HOUR,
            Self::Week => 6 * HOUR,
        }
    }

    /// Number of points.
    pub const fn points(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::Day => 24,
            Self::Week => 28,
        }
    }

    /// From when to when, in even steps; the last one is not over.
    pub const fn range(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let to = Timestamp((now.0.div_euclid(self.step()) + 1) * self.step());
        (to.plus_millis(-self.step() * self.points()), to)
    }
}

/// Requests, let through or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    pub allowed: u64,
    pub refused: u64,
}

impl Requests {
    pub fn add(&mut self, outcome: Outcome, requests: u64) {
        let sum = if outcome == Outcome::Allowed { &mut self.allowed } else { &mut self.refused };
        *sum = sum.saturating_add(requests);
    }

    pub const fn total(self) -> u64 {
        self.allowed.saturating_add(self.refused)
    }
}

/// The step that begins at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    pub at: Timestamp,
    pub requests: Requests,
}

/// What an application did with one service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceTraffic {
    /// Nil where gateways had no room to keep services apart.
    pub service: ServiceId,
    /// `None`: there is no such service any more.
    pub name: Option<String>,
    pub requests: Requests,
    /// Those there were, in the order of [`Outcome::ALL`].
    pub by_outcome: Vec<(Outcome, u64)>,
}

/// An application's requests of a period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traffic {
    pub from: Timestamp,
    /// The end of the last step: not before now.
    pub to: Timestamp,
    /// Milliseconds from one point to the next.
    pub step: i64,
    /// [`Period::points`], also where nothing happened.
    pub points: Vec<Point>,
    pub total: Requests,
    /// Those there were, in the order of [`Outcome::ALL`].
    pub by_outcome: Vec<(Outcome, u64)>,
    /// The busiest first, at most [`Traffic::SERVICES_MAX`].
    pub by_service: Vec<ServiceTraffic>,
}

/// Requests with one outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted<Of> {
    pub of: Of,
    pub outcome: Outcome,
    pub requests: u64,
}

impl Traffic {
    /// Most services that are listed.
    pub const SERVICES_MAX: usize = 100;

    /// Puts it together from what was counted, once by time and once by service.
    pub fn new(
        period: Period,
        now: Timestamp,
        by_time: Vec<Counted<Timestamp>>,
        by_service: Vec<Counted<(ServiceId, Option<String>)>>,
    ) -> Self {
        let (from, to) = period.range(now);
        let mut points: Vec<_> = (0..period.points())
            .map(|n| Point { at: from.plus_millis(n * period.step()), requests: Requests::default() })
            .collect();
        let (mut total, mut outcomes) = (Requests::default(), BTreeMap::new());
        for Counted { of: at, outcome, requests } in by_time {
            let place = usize::try_from((at.0 - from.0).div_euclid(period.step())).ok();
            if let Some(point) = place.and_then(|place| points.get_mut(place)) {
                point.requests.add(outcome, requests);
                total.add(outcome, requests);
                *outcomes.entry(outcome).or_default() += requests;
            }
        }
        let mut services: BTreeMap<ServiceId, ServiceTraffic> = BTreeMap::new();
        for Counted { of: (service, name), outcome, requests } in by_service {
            let of = services.entry(service).or_insert_with(|| ServiceTraffic {
                service,
                name,
                requests: Requests::default(),
                by_outcome: Vec::new(),
            });
            of.requests.add(outcome, requests);
            of.by_outcome.push((outcome, requests));
        }
        let mut by_service: Vec<_> = services.into_values().collect();
        for of in &mut by_service {
            of.by_outcome.sort_unstable();
        }
        by_service.sort_by_key(|of| std::cmp::Reverse(of.requests.total()));
        by_service.truncate(Self::SERVICES_MAX);
        let by_outcome = outcomes.into_iter().collect();
        Self { from, to, step: period.step(), points, total, by_outcome, by_service }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_123_456);

    #[test]
    fn given_any_period_when_it_is_laid_out_then_its_steps_are_even_and_end_after_now() {
        for period in Period::ALL {
            assert_eq!(Period::parse(period.as_str()), Some(period));
            let traffic = Traffic::new(period, NOW, Vec::new(), Vec::new());
            assert!(traffic.to > NOW && traffic.to.0 - NOW.0 <= traffic.step);
            let ats: Vec<_> = traffic.points.iter().map(|point| point.at.0).collect();
            let expected: Vec<_> = (0..period.points()).map(|n| traffic.from.0 + n * traffic.step).collect();
            assert_eq!(ats, expected);
            assert_eq!(traffic.from.0 % traffic.step, 0);
            assert_eq!(ats.last().map(|last| last + traffic.step), Some(traffic.to.0));
            // What is shown is kept.
            assert!(NOW.0 - traffic.from.0 <= period.span().kept_millis());
            assert_eq!(traffic.step % period.span().millis(), 0);
        }
        assert_eq!(Period::parse("month"), None);
    }

    #[test]
    fn given_counts_when_they_are_put_together_then_each_is_in_its_step_and_all_are_in_the_totals() {
        let (from, to) = Period::Day.range(NOW);
        let at = |at: Timestamp, outcome, requests| Counted { of: at, outcome, requests };
        let of = |n: u128, outcome, requests| Counted {
            of: (ServiceId(Uuid::from_u128(n)), Some(format!("s{n}"))),
            outcome,
            requests,
        };
        let traffic = Traffic::new(
            Period::Day,
            NOW,
            vec![
                at(from, Outcome::Allowed, 3),
                at(Timestamp(to.0 - HOUR), Outcome::Revoked, 4),
                at(Timestamp(to.0 - HOUR), Outcome::Allowed, 5),
                // Outside: kept, and not asked for.
                at(to, Outcome::Allowed, 100),
                at(Timestamp(from.0 - HOUR), Outcome::Allowed, 100),
            ],
            vec![of(1, Outcome::Allowed, 3), of(2, Outcome::Revoked, 4), of(2, Outcome::Allowed, 5)],
        );
        assert_eq!(traffic.points[0].requests, Requests { allowed: 3, refused: 0 });
        assert_eq!(traffic.points[23].requests, Requests { allowed: 5, refused: 4 });
        assert_eq!(traffic.total, Requests { allowed: 8, refused: 4 });
        assert_eq!(traffic.by_outcome, [(Outcome::Allowed, 8), (Outcome::Revoked, 4)]);
        let services: Vec<_> =
            traffic.by_service.iter().map(|of| (of.name.as_deref(), of.requests.total())).collect();
        assert_eq!(services, [(Some("s2"), 9), (Some("s1"), 3)]);
        assert_eq!(traffic.by_service[0].by_outcome, [(Outcome::Allowed, 5), (Outcome::Revoked, 4)]);
    }
}
