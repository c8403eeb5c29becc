//! On PostgreSQL, what one replica commits wakes the feeds the others hold.

use std::time::Duration;

use app_auth_core::ids::Revision;
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use super::sql::{Backend, Columns as _};
use super::{Result, Store};

/// Carries newest revisions.
pub(super) const CHANNEL: &str = "app_auth_feed";
/// Carries what replicas tell each other about gateway nodes.
const NODES: &str = "app_auth_nodes";

/// How long to wait before listening again after the connection was lost.
const RETRY: Duration = Duration::from_secs(1);

impl Store {
    /// Whether other replicas may write to the same database.
    pub fn has_replicas(&self) -> bool {
        self.0.backend == Backend::Postgres
    }

    /// Listens for what other replicas say, until it is cancelled: revisions wake the feeds, node messages go to
    /// `nodes`. On SQLite there are no other replicas, and it never ends.
    pub async fn listen(&self, nodes: mpsc::Sender<String>) {
        if !self.has_replicas() {
            return std::future::pending().await;
        }
        loop {
            if let Err(error) = self.listen_once(&nodes).await {
                tracing::warn!(%error, "listening to the database failed; trying again");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn listen_once(&self, nodes: &mpsc::Sender<String>) -> Result<()> {
        let mut listener = PgListener::connect(&self.0.url).await?;
        listener.listen_all([CHANNEL, NODES]).await?;
        // What was committed before we listened was not announced to us.
        self.refresh_newest().await?;
        loop {
            // `None`: the connection was lost and made anew, so something may have been missed.
            let Some(message) = listener.try_recv().await? else {
                self.refresh_newest().await?;
                continue;
            };
            if message.channel() == NODES {
                // A full queue drops the message: the next heartbeat says the same again.
                let _ = nodes.try_send(message.payload().to_owned());
            } else if let Ok(revision) = message.payload().parse() {
                self.announce(Revision(revision));
            }
        }
    }

    /// Reads the newest revision and wakes whoever waits for it.
    pub async fn refresh_newest(&self) -> Result<()> {
        let row = sqlx::query("SELECT revision FROM head WHERE id = 1")
            .fetch_one(&mut *self.reader().await?)
            .await?;
        self.announce(Revision(row.count("revision")?));
        Ok(())
    }

    /// Tells the other replicas something about gateway nodes.
    pub async fn tell_nodes(&self, message: &str) -> Result<()> {
        if self.has_replicas() {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(NODES)
                .bind(message)
                .execute(&mut *self.reader().await?)
                .await?;
        }
        Ok(())
    }
}
