//! `/console/applications/{application}`: one application, what it has and what it may use.

use app_auth_core::ids::ApplicationId;
use axum::response::Response;
use minijinja::context;
use serde::Serialize;
use uuid::Uuid;

use super::applications::DeveloperLine;
use super::connections::{self, ConnectionLine};
use super::credentials::{self, Credentials};
use super::extract::{Path, Query};
use super::failure::Failure;
use super::flash::Flash;
use super::force::Force;
use super::frame::{Answer, Frame, failed, piece, see};
use super::traffic;
use super::when::When;
use crate::model::{AccessRole, ApplicationDetail};
use crate::store::{Entity, StoreError};

#[derive(Serialize)]
struct Shown {
    application: Head,
    credentials: Credentials,
    connections: Vec<ConnectionLine>,
    more_connections: bool,
    force: Force,
    traffic: traffic::Shown,
}

#[derive(Serialize)]
struct Head {
    id: String,
    name: String,
    description: Option<String>,
    redirect_uri: String,
    custom_id: Option<String>,
    developer: DeveloperLine,
    developer_status: &'static str,
    strategy: Option<Named>,
    client_id: Option<String>,
    dcr_provider: Option<String>,
    created: When,
}

/// Something that has a page of its own.
#[derive(Serialize)]
pub struct Named {
    pub id: String,
    pub name: String,
}

/// The application a path names.
pub async fn named(frame: &Frame, id: Uuid) -> Result<ApplicationDetail, Failure> {
    let found = frame.app.store.application_detail(ApplicationId(id)).await?;
    found.ok_or_else(|| StoreError::NotFound(Entity::Application).into())
}

/// Its page.
pub fn path(id: ApplicationId) -> String {
    format!("/console/applications/{id}")
}

pub async fn page(frame: Frame, Path(id): Path<Uuid>, Query(arguments): Query<traffic::Arguments>) -> Answer {
    let detail = named(&frame, id).await?;
    let id = detail.application.id;
    let credentials = credentials::of(&frame, &detail).await?;
    let (connections, more_connections) = connections::of(&frame, id).await?;
    let force = Force::of_application(&frame, id).await?;
    let traffic = traffic::of(&frame, &detail, &arguments.period).await?;
    let ApplicationDetail { application, developer, strategy, .. } = detail;
    let shown = Shown {
        application: Head {
            id: id.to_string(),
            name: application.name,
            description: application.description,
            redirect_uri: application.redirect_uri,
            custom_id: application.custom_id,
            developer_status: developer.status.word(),
            developer: DeveloperLine::of(&developer),
            strategy: strategy.map(|detail| Named {
                id: detail.strategy.id.to_string(),
                name: detail.strategy.display_name,
            }),
            client_id: application.client_id,
            dcr_provider: application.dcr.map(|dcr| dcr.provider.to_string()),
            created: frame.when(application.created_at),
        },
        credentials,
        connections,
        more_connections,
        force,
        traffic,
    };
    frame.page("application.html", shown).await
}

/// On how many gateways the application's state is applied now.
pub async fn force(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    let force = Force::of_application(&frame, ApplicationId(id)).await?;
    piece("force.html", context! { force => minijinja::Value::from(minijinja::value::Serde(force)) })
}

/// Asks whether to delete it, and says what that means.
pub async fn ask_delete(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    frame.visitor.require(AccessRole::Admin)?;
    let detail = named(&frame, id).await?;
    let connections = detail.registrations;
    let shown = context! {
        id => detail.application.id.to_string(),
        name => detail.application.name,
        connections,
        at_provider => detail.application.dcr.is_some(),
    };
    frame.page("application-delete.html", shown).await
}

pub async fn delete(frame: Frame, Path(id): Path<Uuid>) -> Response {
    let deleted = async {
        frame.visitor.require(AccessRole::Admin)?;
        let detail = named(&frame, id).await?;
        let (developer, application) = (detail.developer.id, detail.application.id);
        frame
            .app
            .clients
            .delete_application::<Failure>(frame.actor(), (developer, application), |_| Ok(()))
            .await?;
        Ok(format!("Deleted {}. Its credentials no longer open anything.", detail.application.name))
    };
    match deleted.await {
        Ok(text) => see("/console/applications", Flash::good(text)),
        Err(failure) => failed(&path(ApplicationId(id)), failure),
    }
}
