//! Connections as portals list them: sorted, filtered and in numbered pages.

use app_auth_core::ids::{ApplicationId, ConnectionId};

use super::collection::{Collection, Member, Value};
use super::connections::{JOINED, detail_columns, read_detail};
use super::{Result, Store, developers};
use crate::model::{Collected, CollectionRequest, ConnectionDetail, PortalId};

impl Store {
    /// Of all applications in a portal.
    pub async fn registrations_in(
        &self,
        portal: PortalId,
        request: &CollectionRequest,
    ) -> Result<Collected<ConnectionDetail>> {
        self.registrations_where("d.portal = $1", *portal.as_bytes(), request).await
    }

    pub async fn registrations_of(
        &self,
        application: ApplicationId,
        request: &CollectionRequest,
    ) -> Result<Collected<ConnectionDetail>> {
        self.registrations_where("c.application = $1", *application.as_bytes(), request).await
    }

    async fn registrations_where(
        &self,
        condition: &str,
        parent: [u8; 16],
        request: &CollectionRequest,
    ) -> Result<Collected<ConnectionDetail>> {
        let blocks = self.0.revoke_developer_blocks;
        Collection {
            columns: &detail_columns(),
            from: &format!("{JOINED} {condition}"),
            bound: &[parent],
            members: &[
                Member { name: "developer_id", value: Value::Id("a.developer") },
                Member { name: "developer_name", value: developers::NAME },
                Member { name: "application_name", value: Value::Column("a.name") },
                Member { name: "status", value: Value::Column("c.status") },
                Member { name: "created_at", value: Value::Column("c.created_at") },
                Member { name: "updated_at", value: Value::Column("c.updated_at") },
            ],
            last: "c.created_at, c.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, |row| read_detail(row, blocks))
        .await
    }

    /// The connection of an application in a portal; another portal's is not found.
    pub async fn registration(
        &self,
        portal: PortalId,
        application: ApplicationId,
        id: ConnectionId,
    ) -> Result<Option<ConnectionDetail>> {
        let found = self.connection(application, id).await?;
        Ok(found.filter(|detail| detail.developer.portal == portal))
    }
}
