//! `/console/undo`: takes a decision back that was just made.

use axum::response::Response;
use serde::Deserialize;
use uuid::Uuid;

use super::decide::told;
use super::extract::Form;
use super::failure::Failure;
use super::frame::{Frame, outcome};
use super::{force, next};
use crate::kong;
use crate::model::AccessRole;
use crate::store::{Request, Undone};

#[derive(Deserialize)]
pub struct UndoForm {
    id: Uuid,
    /// The page to come back to.
    #[serde(default)]
    back: String,
}

pub async fn undo(frame: Frame, Form(form): Form<UndoForm>) -> Response {
    let undone = async {
        frame.visitor.require(AccessRole::Approver)?;
        let app = &frame.app;
        let undone = kong::change(&app.store, app.kong.as_ref(), frame.actor(), form.id, |writer, id| {
            Box::pin(async move {
                let late = "It can no longer be undone: the ten seconds are over, or it was undone before.";
                writer.take_back(id).await?.ok_or_else(|| Failure::refused(late))
            })
        })
        .await?;
        Ok(format!("{} {}", said(undone.value), force::told(&frame, undone.revision).await))
    };
    outcome(next::page_of_console(&form.back), undone.await)
}

fn said(undone: Undone) -> String {
    let left = undone.left;
    let connections = undone.connections.into_iter().map(|it| Request::Connection(Box::new(it)));
    let developers = undone.developers.into_iter().map(|it| Request::Developer(Box::new(it)));
    let subjects: Vec<_> = connections.chain(developers).collect();
    let done = match subjects.as_slice() {
        [] => "Nothing was undone.".to_owned(),
        [one] => format!("Undone: {}", told(one)),
        several => format!("Undone: {} decisions are taken back.", several.len()),
    };
    match left {
        0 => done,
        1 => format!("{done} One stays as it is: somebody has changed it since."),
        left => format!("{done} {left} stay as they are: somebody has changed them since."),
    }
}
