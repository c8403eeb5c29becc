//! The audit log as scenarios read it.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::client::Client;

/// All lines that meet the filters, newest first, read page by page.
pub async fn lines(client: &Client, filters: &str) -> Result<Vec<Value>> {
    let (mut lines, mut next) = (Vec::new(), Some(format!("/audit?size=7&{filters}")));
    while let Some(path) = next {
        let page = client.get(&path).await?.expect(200)?.json();
        lines.extend(page["data"].as_array().into_iter().flatten().cloned());
        next = page["next"].as_str().map(str::to_owned);
        ensure!(next.is_some() || page["total"] == lines.len(), "{filters}: {} of {page}", lines.len());
    }
    Ok(lines)
}
