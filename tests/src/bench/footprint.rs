//! How much shared data a record takes: a page of the real snapshot, put into buckets exactly as the filter does it.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use app_auth_core::feed::{PAGE_LIMIT, SnapshotPage, bucket_of};
use app_auth_core::state::bucket::encode_entry;
use app_auth_core::state::keys::SharedKey;
use app_auth_core::state::table::seal_bucket;

use crate::client::Client;

/// Bytes of keys and values per record, bucket frames included.
pub async fn bytes_per_record(admin: &Client) -> Result<f64> {
    let path = format!("/gateway/v1/snapshot?limit={PAGE_LIMIT}&node=bench&version=bench");
    let page: SnapshotPage = serde_json::from_slice(&admin.get(&path).await?.expect(200)?.body)?;
    let mut buckets: BTreeMap<u32, Vec<u8>> =
        (page.buckets[0]..page.buckets[1]).map(|n| (n, Vec::new())).collect();
    for entry in &page.records {
        let bytes = encode_entry(&entry.key, &entry.record).map_err(|_| anyhow!("a record does not fit"))?;
        buckets.entry(bucket_of(&entry.key, page.bits)).or_default().extend(bytes);
    }
    let total: usize = buckets
        .iter()
        .map(|(number, body)| {
            SharedKey::bucket(page.bits, *number).as_bytes().len() + seal_bucket(1, page.revision, body).len()
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "bytes of a few hundred records")]
    let [total, records] = [total, page.records.len()].map(|number| number as f64);
    Ok(total / records)
}
