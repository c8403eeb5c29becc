//! `/v2/dcr-jobs`: what identity providers have still to be told of the clients of applications.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{Collection, Filter, Filters, Ids, PageBody, Problem, Query, arguments, reply};
use crate::api::Seen;
use crate::store::DcrJob;

const LIST: Collection = Collection::new(
    &["created_at", "next_at", "kind"],
    Filters::Deep,
    &[("kind", Filter::Text), ("dcr_provider_id", Filter::Id), ("application_id", Filter::Id)],
);

arguments!(
    /// The arguments of the list.
    JobArguments: LIST
);

/// Something an identity provider has still to be told.
#[derive(Serialize, ToSchema)]
pub struct JobBody {
    id: Uuid,
    /// `create`, `delete`, `update`, `tidy` or `registration`.
    kind: &'static str,
    dcr_provider_id: Uuid,
    /// There may be no such application, any more or yet.
    application_id: Uuid,
    /// Of a registration.
    product_version_id: Option<Uuid>,
    /// As far as it is known.
    client_id: Option<String>,
    /// What the client is called at the provider.
    client_name: String,
    attempts: u32,
    /// Why the last attempt failed.
    error: Option<String>,
    next_at: String,
    created_at: String,
}

impl From<DcrJob> for JobBody {
    fn from(job: DcrJob) -> Self {
        Self {
            id: job.id,
            kind: job.kind.as_str(),
            dcr_provider_id: job.provider.0,
            application_id: job.application.0,
            product_version_id: job.version.map(|version| version.0),
            client_id: job.client_id,
            client_name: job.details.client_name,
            attempts: job.attempts,
            error: job.error,
            next_at: reply::time(job.next_at),
            created_at: reply::time(job.created_at),
        }
    }
}

/// List what identity providers have still to be told
#[utoipa::path(
    get, path = "/dcr-jobs", tag = "dcr providers", operation_id = "list_dcr_jobs",
    params(JobArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<JobBody>)),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Problem> {
    let request = LIST.read(&query)?;
    let jobs = app.store.dcr_jobs(&request).await?;
    Ok(reply::ok(&PageBody::new(&request, jobs, JobBody::from)))
}

/// Tell an identity provider now
#[utoipa::path(
    post, path = "/dcr-jobs/{id}/retry", tag = "dcr providers", operation_id = "retry_dcr_job",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It begins", body = JobBody)),
)]
pub async fn retry(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let job = app.store.retry_dcr_job(id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(JobBody::from(job))).into_response())
}
