//! `/v2/portals/{portalId}/applications/{applicationId}/traffic`: how much an application uses which services. Our own: the
//! published API has nothing of the kind.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::applications;
use super::conventions::{Ids, Problem, Query, reply};
use crate::api::Seen;
use crate::model::Timestamp;
use crate::model::traffic::{Outcome, Period, Requests, ServiceTraffic, Traffic};

/// The requests of an application that gateways have reported.
#[derive(Serialize, ToSchema)]
pub struct TrafficBody {
    /// When the first step begins, and when the last one ends.
    from: String,
    to: String,
    /// From one point to the next, in seconds.
    step_seconds: i64,
    allowed: u64,
    refused: u64,
    /// One for each step, also where nothing happened.
    points: Vec<PointBody>,
    by_outcome: Vec<OutcomeBody>,
    /// The hundred busiest.
    by_service: Vec<ServiceTrafficBody>,
    /// When a request of the application was last counted, whenever that was; null: never.
    last_used_at: Option<String>,
}

/// The requests of one step.
#[derive(Serialize, ToSchema)]
pub struct PointBody {
    /// When it begins.
    at: String,
    allowed: u64,
    refused: u64,
}

/// The requests with one outcome.
#[derive(Serialize, ToSchema)]
pub struct OutcomeBody {
    /// `allowed`, or why not.
    outcome: &'static str,
    count: u64,
}

/// The requests to one service.
#[derive(Serialize, ToSchema)]
pub struct ServiceTrafficBody {
    service_id: Uuid,
    /// Null where there is no such service any more.
    name: Option<String>,
    allowed: u64,
    refused: u64,
    by_outcome: Vec<OutcomeBody>,
}

impl TrafficBody {
    fn new(traffic: Traffic, last_used: Option<Timestamp>) -> Self {
        let points = traffic.points.iter().map(|point| {
            let Requests { allowed, refused } = point.requests;
            PointBody { at: reply::time(point.at), allowed, refused }
        });
        Self {
            from: reply::time(traffic.from),
            to: reply::time(traffic.to),
            step_seconds: traffic.step / 1000,
            allowed: traffic.total.allowed,
            refused: traffic.total.refused,
            points: points.collect(),
            by_outcome: outcomes(&traffic.by_outcome),
            by_service: traffic.by_service.into_iter().map(ServiceTrafficBody::from).collect(),
            last_used_at: last_used.map(reply::time),
        }
    }
}

impl From<ServiceTraffic> for ServiceTrafficBody {
    fn from(of: ServiceTraffic) -> Self {
        let Requests { allowed, refused } = of.requests;
        let by_outcome = outcomes(&of.by_outcome);
        Self { service_id: of.service.0, name: of.name, allowed, refused, by_outcome }
    }
}

fn outcomes(of: &[(Outcome, u64)]) -> Vec<OutcomeBody> {
    of.iter().map(|(outcome, count)| OutcomeBody { outcome: outcome.as_str(), count: *count }).collect()
}

/// Show how much an application is used
///
/// Requests whose application was recognised, let through or not, as the gateways have reported them: usually within five
/// seconds. An extension of our own.
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}/traffic", tag = "portal applications",
    operation_id = "get_portal_application_traffic",
    params(
        ("portalId" = Uuid, Path),
        ("applicationId" = Uuid, Path),
        ("period" = Option<String>, Query,
            description = "`hour` (by minutes), `day` (by hours, the default) or `week` (by six hours)"),
    ),
    responses((status = 200, description = "The requests of the period", body = TrafficBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<2>, query: Query) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let period = query.choice("period", &Period::ALL.map(Period::as_str))?;
    let period = period.and_then(Period::parse).unwrap_or(Period::Day);
    let application = applications::named(&app.store, portal, application).await?.application;
    let traffic = app.store.traffic(application.id, period).await?;
    let used = app.store.last_used(&[application.id]).await?;
    Ok(reply::ok(&TrafficBody::new(traffic, used.first().map(|(_, at)| *at))))
}
