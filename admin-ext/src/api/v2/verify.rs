//! `/v2/dcr-providers/{id}/verify`: whether clients can really be registered at a provider.

use axum::extract::Extension;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::conventions::{Ids, Problem, reply};
use crate::api::Seen;
use crate::model::DcrProviderId;
use crate::store::Actor;

/// What a trial came to.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationBody {
    #[schema(inline)]
    status: Verdict,
    /// What is wrong; empty where nothing is.
    errors: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Success,
    Failed,
}

/// Try a DCR provider
///
/// Registers a client at the provider and deletes it again. A provider that refuses or cannot be reached is no error of
/// the request.
#[utoipa::path(
    post, path = "/dcr-providers/{dcrProviderId}/verify", tag = "dcr providers", operation_id = "verify_dcr_provider",
    params(("dcrProviderId" = Uuid, Path)),
    responses((status = 200, description = "What came of it", body = VerificationBody)),
)]
pub async fn verify(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let provider = app.store.dcr_provider(DcrProviderId(id)).await?.ok_or_else(Problem::not_found)?;
    let errors = app.clients.verify(&actor, &provider.provider).await?;
    let status = if errors.is_empty() { Verdict::Success } else { Verdict::Failed };
    Ok(reply::ok(&VerificationBody { status, errors }))
}
