//! What waits for a decision: connections and developers, in one queue, the oldest first.

use app_auth_core::record::ConnectionStatus;
use sqlx::AssertSqlSafe;

use super::super::sql::rows_of;
use super::super::{Result, Store, connections, developers};
use crate::model::{ConnectionDetail, Developer, DeveloperStatus, Offset, PageRequest, StatusCode as _};

/// Somebody waits for a decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Connection(Box<ConnectionDetail>),
    Developer(Box<Developer>),
}

/// Which requests to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RequestFilter {
    #[default]
    All,
    Connections,
    Developers,
}

impl Request {
    fn place(&self) -> Offset {
        match self {
            Self::Connection(detail) => {
                Offset { created_at: detail.connection.created_at, id: detail.connection.id.0 }
            }
            Self::Developer(developer) => Offset { created_at: developer.created_at, id: developer.id.0 },
        }
    }
}

impl Store {
    /// A page of what waits, and where the next page begins.
    pub async fn requests(
        &self,
        filter: RequestFilter,
        page: PageRequest,
    ) -> Result<(Vec<Request>, Option<Offset>)> {
        let mut requests = Vec::new();
        if filter != RequestFilter::Developers {
            requests.append(&mut self.waiting_connections(&page).await?);
        }
        if filter != RequestFilter::Connections {
            requests.append(&mut self.waiting_developers(&page).await?);
        }
        // Each list was read one item further than the page goes, so together they are as good as one.
        requests.sort_by_key(|request| {
            let place = request.place();
            (place.created_at, place.id)
        });
        let size = usize::from(page.size);
        let more = requests.len() > size;
        requests.truncate(size);
        let next = if more { requests.last().map(Request::place) } else { None };
        Ok((requests, next))
    }

    async fn waiting_connections(&self, page: &PageRequest) -> Result<Vec<Request>> {
        let sql = format!(
            "SELECT {} FROM {} c.id IN (SELECT w.id FROM connections w WHERE w.status = $1 \
             AND (w.created_at, w.id) > ($2, $3) ORDER BY w.created_at, w.id LIMIT $4)",
            connections::detail_columns(),
            connections::JOINED,
        );
        let (after, after_id) = begin(page);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(i64::from(ConnectionStatus::Pending.code()))
            .bind(after)
            .bind(after_id)
            .bind(rows_of(page))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let blocks = self.0.revoke_developer_blocks;
        let read = |row| connections::read_detail(row, blocks).map(|it| Request::Connection(Box::new(it)));
        rows.iter().map(read).collect()
    }

    async fn waiting_developers(&self, page: &PageRequest) -> Result<Vec<Request>> {
        let sql = format!(
            "SELECT {} FROM developers d WHERE d.status = $1 AND (d.created_at, d.id) > ($2, $3) \
             ORDER BY d.created_at, d.id LIMIT $4",
            developers::COLUMNS,
        );
        let (after, after_id) = begin(page);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(i64::from(DeveloperStatus::Pending.code()))
            .bind(after)
            .bind(after_id)
            .bind(rows_of(page))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        rows.iter().map(|row| developers::read(row).map(|it| Request::Developer(Box::new(it)))).collect()
    }
}

fn begin(page: &PageRequest) -> (i64, Vec<u8>) {
    page.offset.map_or((i64::MIN, Vec::new()), |at| (at.created_at.0, at.id.as_bytes().to_vec()))
}
