//! Applications as portals show them: with their developers, strategies and registrations; and the rules of what their
//! issuers call them.

use app_auth_core::ids::{ApplicationId, StrategyId};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::collection::{Collection, Member, Value};
use super::sql::Columns as _;
use super::{Entity, Result, Store, StoreError, Writer, applications, auth_strategies, developers};
use crate::model::{
    Application, ApplicationDetail, Collected, CollectionRequest, Invalid, PortalId, StrategyType,
};

fn joined() -> (String, String) {
    let columns = format!(
        "{}, {}, {}, {}, (SELECT COUNT(*) FROM connections c WHERE c.application = a.id) AS a_registrations",
        applications::COLUMNS,
        developers::COLUMNS,
        auth_strategies::COLUMNS,
        auth_strategies::DETAIL
    );
    let from = format!(
        "applications a JOIN developers d ON d.id = a.developer \
         LEFT JOIN auth_strategies t ON t.id = a.strategy {}",
        auth_strategies::PROVIDER
    );
    (columns, from)
}

fn read(row: &AnyRow) -> Result<ApplicationDetail> {
    let application = applications::read(row)?;
    let strategy = match application.strategy {
        Some(_) => Some(auth_strategies::read_detail(row)?),
        None => None,
    };
    Ok(ApplicationDetail {
        application,
        developer: developers::read(row)?,
        strategy,
        registrations: row.count("a_registrations")?,
    })
}

impl Store {
    pub async fn applications_in(
        &self,
        portal: PortalId,
        request: &CollectionRequest,
    ) -> Result<Collected<ApplicationDetail>> {
        let (columns, from) = joined();
        Collection {
            columns: &columns,
            from: &format!("{from} WHERE d.portal = $1"),
            bound: &[*portal.as_bytes()],
            members: &[
                Member { name: "name", value: Value::Column("a.name") },
                Member { name: "developer_id", value: Value::Id("a.developer") },
                Member { name: "developer_name", value: developers::NAME },
                Member { name: "developer_email", value: Value::Column("d.email") },
                Member { name: "created_at", value: Value::Column("a.created_at") },
                Member { name: "updated_at", value: Value::Column("a.updated_at") },
            ],
            last: "a.created_at, a.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, read)
        .await
    }

    /// An application of whatever portal.
    pub async fn application_detail(&self, id: ApplicationId) -> Result<Option<ApplicationDetail>> {
        let (columns, from) = joined();
        let row = sqlx::query(AssertSqlSafe(format!("SELECT {columns} FROM {from} WHERE a.id = $1")))
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The portal's application; another portal's is not found.
    pub async fn application_in(
        &self,
        portal: PortalId,
        id: ApplicationId,
    ) -> Result<Option<ApplicationDetail>> {
        Ok(self.application_detail(id).await?.filter(|detail| detail.developer.portal == portal))
    }
}

impl Writer {
    /// Only where the applications of a strategy come with their clients can somebody say what a client is called.
    /// [`StoreError::ForeignKey`] (field `auth_strategy_id`) if there is no such strategy.
    pub(super) async fn check_client_id(&mut self, application: &Application) -> Result<()> {
        let strategy_type = match application.strategy {
            Some(id) => Some(self.strategy_type(id).await?),
            None => None,
        };
        match (&application.client_id, strategy_type) {
            (Some(_), Some(StrategyType::KeyAuth) | None) => {
                let reason = "applications have one where their auth strategy is openid_connect";
                Err(Invalid::new("client_id", reason).into())
            }
            _ => Ok(()),
        }
    }

    /// Whether keys prove which application it is.
    pub(super) async fn knows_keys(&mut self, application: &Application) -> Result<bool> {
        match application.strategy {
            Some(id) => Ok(self.strategy_type(id).await? == StrategyType::KeyAuth),
            None => Ok(true),
        }
    }

    async fn strategy_type(&mut self, id: StrategyId) -> Result<StrategyType> {
        let strategy = auth_strategies::by_id(self.conn(), id).await?;
        strategy.map(|strategy| strategy.strategy_type).ok_or(StoreError::ForeignKey {
            entity: Entity::AuthStrategy,
            field: "auth_strategy_id",
            id: id.to_string(),
        })
    }
}
