//! The examples of the API's reference page, with their bodies as curl and httpie send them: one test for each, named
//! after its section. Inviting is with the other tests of invitations.

mod applications;
mod credentials;
mod developers;
mod plugins;

use anyhow::Result;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::Value;

/// `curl --data`: a form whose values are sent as they are written.
async fn curl(client: &Client, method: Method, path: &str, data: &str) -> Result<Answer> {
    let request = client.request(method, path).header("Content-Type", "application/x-www-form-urlencoded");
    send(request.body(data.to_owned())).await
}

/// The names of an object's members, sorted.
fn members(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}
