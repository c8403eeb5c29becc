//! `/v2/api-products`.

use anyhow::Result;
use serde_json::json;

use super::common::{on_both, one, wrong};

#[tokio::test]
async fn given_no_product_when_one_is_made_changed_and_deleted_then_each_answer_says_what_it_is() -> Result<()>
{
    on_both(async |client| {
        let made = client.post("/v2/api-products", &json!({"name": "Orders"})).await?.expect(201)?;
        let path = format!("/v2/api-products/{}", made.field("id")?);
        let changes = json!({"description": "What customers ordered", "labels": {"team": "sales"}});
        let after = client.patch(&path, &changes).await?.expect(200)?;
        assert_eq!(after.json()["labels"], json!({"team": "sales"}));
        assert_ne!(after.header("etag"), made.header("etag"));
        assert_eq!(client.get(&path).await?.expect(200)?.json(), after.json());

        let refused = client.patch(&path, &json!({"name": "", "colour": "red"})).await?;
        assert_eq!(
            wrong(&refused),
            [one("colour", "unknown_property", "body"), one("name", "min_length", "body")]
        );
        assert_eq!(client.get(&path).await?.expect(200)?.json(), after.json());

        client.delete(&path).await?.expect(204)?;
        client.get(&path).await?.expect(404)?;
        Ok(())
    })
    .await
}
