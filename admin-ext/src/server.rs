//! The running program: opens the store, makes the first tokens, serves until it is told to stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::api::{self, App};
use crate::config::Config;
use crate::idp::{self, Clients, Idp};
use crate::kong::Kong;
use crate::mail::{self, Mailer};
use crate::model::{AccessRole, PlainSecret};
use crate::nodes::Nodes;
use crate::store::{Actor, Store, StoreError, TokenKind};

/// How long tombstones are kept: a gateway that was away for longer takes the snapshot.
const TOMBSTONES_KEPT_MS: i64 = 24 * 3_600_000;
/// How often old tombstones are looked for.
const PRUNING: Duration = Duration::from_hours(1);
/// How often sessions are looked for that have ended.
const SESSION_PRUNING: Duration = Duration::from_mins(1);
/// How often traffic is looked for that is kept no longer.
const FORGETTING: Duration = Duration::from_mins(1);
/// How often access tokens are looked for whose time is over.
const SWEEPING: Duration = Duration::from_secs(5);
/// How long requests may take to end after the word to stop.
const STOPPING: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen: cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let store = Store::open(config.store_options()).await.context("the store cannot be opened")?;
    let mailer = mailer(&config, &store).await?;
    api::ops::recorder();
    for (token, kind) in
        [(&config.admin_token, TokenKind::Admin), (&config.gateway_token, TokenKind::Gateway)]
    {
        first_token(&store, kind, token.as_ref()).await?;
    }
    let (stop, stopping) = watch::channel(false);
    let nodes = Nodes::load(store.clone()).await?;
    let kong = kong(&config, &store).await?;
    let mut background = background(&store, &nodes);
    let outbox = tokio::spawn(mail::outbox::run(store.clone(), mailer.clone(), stopping.clone()));
    if let Some(kong) = kong.clone() {
        let store = store.clone();
        background.spawn(async move { kong.keep_telling(&store).await });
    }
    let idp = Idp::new(&config.idp)?;
    let clients = Clients::new(store.clone(), kong.clone(), idp.clone());
    let sweeping = clients.clone();
    background.spawn(async move { sweeping.keep_sweeping().await });
    let asking = (store.clone(), idp.clone());
    background.spawn(async move { idp::issuers::keep_fetching(&asking.0, &asking.1).await });
    let settings = Arc::new(config.api.clone());
    let app =
        App { store: store.clone(), nodes: nodes.clone(), mailer, clients, idp, kong, settings, stopping };
    let router = api::router(app).into_make_service_with_connect_info::<SocketAddr>();

    say(&format!("listening on http://{address}"));
    let mut told = stop.subscribe();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = told.wait_for(|stop| *stop).await;
    });
    let mut server = tokio::spawn(async move { server.await });
    tokio::select! {
        ended = &mut server => ended??,
        () = word_to_stop() => {
            tracing::info!("stopping");
            stop.send_replace(true);
            if tokio::time::timeout(STOPPING, &mut server).await.is_err() {
                tracing::warn!("some requests did not end in time");
                server.abort();
            }
        }
    }
    drop(background);
    // A mail cut off in the middle would be sent once more at the next start.
    if tokio::time::timeout(STOPPING, outbox).await.is_err() {
        tracing::warn!("some mails in progress did not end in time");
    }
    nodes.save().await;
    store.close().await;
    Ok(())
}

/// The Kong that follows, if one is to.
async fn kong(config: &Config, store: &Store) -> anyhow::Result<Option<Kong>> {
    let Some(config) = &config.kong else { return Ok(None) };
    let filter = match &config.filter {
        Some(filter) => Some(filter.config(store).await.context("the filters on Kong have no token")?),
        None => None,
    };
    Kong::new(config, filter).map(Some)
}

/// What sends mails, if everything it needs is there.
async fn mailer(config: &Config, store: &Store) -> anyhow::Result<Mailer> {
    let mailer = Mailer::new(&config.mail)?;
    mailer.check_sender(&store.portal().await?)?;
    Ok(mailer)
}

/// The tasks beside the requests; they end when this is dropped.
fn background(store: &Store, nodes: &Nodes) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (sender, incoming) = mpsc::channel(256);
    let listening = store.clone();
    tasks.spawn(async move { listening.listen(sender).await });
    let keeping = nodes.clone();
    tasks.spawn(async move { keeping.keep(incoming).await });
    let pruned = store.clone();
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(PRUNING);
        loop {
            tick.tick().await;
            match pruned.prune(pruned.now().plus_millis(-TOMBSTONES_KEPT_MS)).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "old tombstones were removed"),
                Err(error) => tracing::warn!(%error, "old tombstones were not removed"),
            }
            if let Err(error) = pruned.forget_reporters().await {
                tracing::warn!(%error, "reporters of traffic that are long gone were not removed");
            }
        }
    });
    keep_pruning(
        &mut tasks,
        store,
        FORGETTING,
        "old traffic",
        |store| async move { store.prune_traffic().await },
    );
    keep_pruning(&mut tasks, store, SESSION_PRUNING, "sessions that have ended", |store| async move {
        store.prune_sessions().await
    });
    keep_pruning(&mut tasks, store, FORGETTING, "what can no longer be undone", |store| async move {
        store.prune_undos().await
    });
    keep_pruning(&mut tasks, store, SWEEPING, "access tokens that have expired", |store| async move {
        store.sweep_tokens().await
    });
    tasks
}

/// Removes what is kept no longer, again and again, in batches: others may write between one and the next.
fn keep_pruning<F>(
    tasks: &mut JoinSet<()>,
    store: &Store,
    every: Duration,
    what: &'static str,
    prune: impl Fn(Store) -> F + Send + 'static,
) where
    F: Future<Output = Result<u64, StoreError>> + Send,
{
    let store = store.clone();
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(every);
        loop {
            tick.tick().await;
            loop {
                match prune(store.clone()).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "not removed: {what}");
                        break;
                    }
                }
            }
        }
    });
}

/// Makes the first token of a kind: the one from the settings, or a random one that is printed this one time.
async fn first_token(store: &Store, kind: TokenKind, chosen: Option<&PlainSecret>) -> anyhow::Result<()> {
    let actor = Actor::internal("start");
    if let Some(chosen) = chosen {
        let key = format!("{}_token", kind.as_str());
        let token = store.adopt_token(&actor, kind, &format!("{} token", kind.as_str()), chosen).await;
        let token = token.with_context(|| format!("{key} cannot be used"))?;
        if token.revoked_at.is_some() {
            tracing::warn!(key, id = %token.id, "the token in the settings is revoked and opens nothing");
        }
    } else if !store.tokens().await?.iter().any(|token| token.kind == kind) {
        let (_, secret) = store.create_token(&actor, kind, AccessRole::Admin, "first").await?;
        say(&format!("first {} token, shown this once: {}", kind.as_str(), secret.expose()));
    }
    Ok(())
}

/// A line for whoever started the program, at once also where stdout is a pipe. Nobody listening is no error.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// SIGTERM or SIGINT.
async fn word_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be received; stop the program by killing it");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
