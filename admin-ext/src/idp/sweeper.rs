//! Finishes what was begun at identity providers, for as long as the program runs: what a crash left, what failed, and
//! the clients of applications that went with something else.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Clients;

/// Jobs that are worked on at the same time.
const AT_ONCE: usize = 8;
/// How often to look for what other replicas left.
const LOOK: Duration = Duration::from_secs(5);
/// The wait after the database failed.
const DATABASE_WAIT: Duration = Duration::from_secs(1);

impl Clients {
    /// Works on jobs until it is cancelled.
    pub async fn keep_sweeping(&self) {
        // Only this program has the database, so whoever held a claim has ended.
        while !self.store.has_replicas() {
            match self.store.release_all_dcr_jobs().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, "jobs of identity providers could not be read; trying again");
                    tokio::time::sleep(DATABASE_WAIT).await;
                }
            }
        }
        if let Ok(left @ 1..) = self.store.dcr_jobs_count().await {
            tracing::info!(left, "identity providers have still to be told something");
        }
        loop {
            match self.sweep().await {
                Ok(true) => {}
                Ok(false) => self.wait_for_news().await,
                Err(error) => {
                    tracing::warn!(%error, "jobs of identity providers could not be read or written");
                    tokio::time::sleep(DATABASE_WAIT).await;
                }
            }
        }
    }

    /// Works on what is due. Answers whether there was any.
    async fn sweep(&self) -> crate::store::Result<bool> {
        let jobs = self.store.claim_dcr_jobs(AT_ONCE, self.claim_ms()).await?;
        let any = !jobs.is_empty();
        let mut working = JoinSet::new();
        for job in jobs {
            let clients = self.clone();
            working.spawn(async move { clients.settle(job).await });
        }
        while working.join_next().await.is_some() {}
        Ok(any)
    }

    async fn wait_for_news(&self) {
        let due = self.store.next_dcr_job_due().await.ok().flatten();
        let until_due = due.map(|due| due.0.saturating_sub(self.store.now().0).max(1));
        let wait = until_due.and_then(|wait| u64::try_from(wait).ok()).map_or(LOOK, Duration::from_millis);
        tokio::select! {
            () = self.store.dcr_news().notified() => {}
            () = tokio::time::sleep(wait.min(LOOK)) => {}
        }
    }
}
