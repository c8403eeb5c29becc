//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use url::Url;

use crate::config::{Config, LogFormat, Settings};
use crate::import::{self, Import};
use crate::kong::{AttachAs, declarative};
use crate::model::{AccessRole, Timestamp};
use crate::store::seed::{self, SeedPlan};
use crate::store::{Actor, Entity, Store, StoreError, TokenKind};
use crate::{api, server, tls};

/// Owns developers, applications, credentials and connections, and feeds the gateways.
#[derive(Parser)]
#[command(name = "app-auth-admin", version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the admin APIs and the feed.
    Serve,
    /// Make, list and revoke tokens, in the database itself: also while the server runs.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// For a gateway that is a Kong.
    Kong {
        #[command(subcommand)]
        command: KongCommand,
    },
    /// Print the description of the API (OpenAPI).
    Openapi,
    /// Import developers from a file (.csv, .jsonl) through a running admin extension; run again, it goes on where it
    /// stopped. Lines that are refused are put beside the file, with the reasons.
    Import {
        file: PathBuf,
        /// The admin extension; its token is `--admin-token`. [default: the address it listens on]
        #[arg(long)]
        url: Option<Url>,
        /// Leave developers that exist as they are, instead of refusing their lines.
        #[arg(long)]
        skip_existing: bool,
        /// Check every line and write none.
        #[arg(long)]
        dry_run: bool,
        /// Lines of one request.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
        lines_per_request: u16,
    },
    /// Load many applications and keys at once, for measurements. The key with number N is `seed` and N in 28 digits.
    #[command(hide = true)]
    Seed {
        #[arg(long)]
        applications: u32,
        #[arg(long)]
        keys_per_application: u32,
        /// Every application gets an approved connection to this service.
        #[arg(long)]
        service: Option<String>,
    },
}

#[derive(Subcommand)]
enum KongCommand {
    /// Print what a Kong without a database needs in its declarative configuration: the filter on every service that
    /// serves a product version.
    Config {
        /// Where the filter finds the admin extension, as `host:port`. [default: the setting
        /// `kong_filter_admin_address`, or `listen`]
        #[arg(long)]
        admin_address: Option<String>,
        /// As plugins (Kong 3.9) instead of filter chains.
        #[arg(long)]
        plugins: bool,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it; it cannot be shown again.
    Create {
        #[arg(long)]
        kind: Kind,
        /// What an admin token may do: `viewer` sees everything but secrets, `approver` also decides about developers and
        /// connections, `admin` may do everything.
        #[arg(long, default_value = AccessRole::Admin.as_str(), value_parser = access_role)]
        role: AccessRole,
        /// What the audit log calls it.
        #[arg(long)]
        name: String,
    },
    /// List all tokens, without the tokens themselves.
    List,
    /// Revoke a token; from then on it opens nothing.
    Revoke { id: String },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Admin,
    Gateway,
}

impl From<Kind> for TokenKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Admin => Self::Admin,
            Kind::Gateway => Self::Gateway,
        }
    }
}

fn access_role(text: &str) -> Result<AccessRole, &'static str> {
    AccessRole::parse(text).ok_or("expected viewer, approver or admin")
}

/// Runs what the command line says.
pub fn run() -> anyhow::Result<()> {
    let matches = Settings::with_environment(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches)?;
    if matches!(cli.command, Command::Openapi) {
        println!("{}", api::openapi().to_pretty_json()?);
        return Ok(());
    }
    let config = Config::load(cli.settings)?;
    log(&config)?;
    tls::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve => {
                tracing::info!(version = env!("CARGO_PKG_VERSION"), settings = %config, "starting");
                server::serve(config).await
            }
            Command::Token { command } => token(&config, command).await,
            Command::Kong { command: KongCommand::Config { admin_address, plugins } } => {
                kong_config(&config, admin_address, plugins).await
            }
            Command::Seed { applications, keys_per_application, service } => {
                let service = service.map(|service| service.parse()).transpose();
                let service = service.ok().context("service: expected a UUID")?;
                load(
                    &config,
                    &SeedPlan {
                        applications,
                        applications_per_developer: 100,
                        keys_per_application,
                        service,
                    },
                )
                .await
            }
            Command::Import { file, url, skip_existing, dry_run, lines_per_request } => {
                let url = match url {
                    Some(url) => url,
                    None => Url::parse(&format!("http://{}", config.listen))?,
                };
                import::run(Import {
                    file,
                    url,
                    token: config.admin_token,
                    skip: skip_existing,
                    dry_run,
                    lines_per_request: lines_per_request.into(),
                })
                .await
            }
            Command::Openapi => Ok(()),
        }
    })
}

/// Logs go to stderr: stdout is for what the program is asked for.
fn log(config: &Config) -> anyhow::Result<()> {
    let targets: Targets = config.log.parse().context("log")?;
    // Statements of the database driver are noise at best.
    let targets = targets.with_target("sqlx", tracing::Level::WARN);
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => registry.with(layer.with_ansi(false)).try_init()?,
        LogFormat::Json => registry.with(layer.json()).try_init()?,
    }
    Ok(())
}

async fn token(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let store = Store::open(config.store_options()).await.context("the store cannot be opened")?;
    let actor = Actor::internal("command line");
    match command {
        TokenCommand::Create { kind: Kind::Gateway, role, .. } if role != AccessRole::Admin => {
            bail!("only admin tokens have roles")
        }
        TokenCommand::Create { kind, role, name } => {
            let (token, secret) = store.create_token(&actor, kind.into(), role, &name).await?;
            eprintln!("made {} token {}; it is not shown again", token.kind.as_str(), token.id);
            println!("{}", secret.expose());
        }
        TokenCommand::List => {
            println!(
                "{:36}  {:7}  {:8}  {:20}  {:20}  {:20}  name",
                "id", "kind", "role", "created", "last used", "revoked"
            );
            for token in store.tokens().await? {
                println!(
                    "{}  {:7}  {:8}  {:20}  {:20}  {:20}  {}",
                    token.id,
                    token.kind.as_str(),
                    if token.kind == TokenKind::Admin { token.role.as_str() } else { "-" },
                    when(Some(token.created_at)),
                    when(token.last_used_at),
                    when(token.revoked_at),
                    token.name
                );
            }
        }
        TokenCommand::Revoke { id } => {
            let id = id.parse().ok().context("expected the id of a token, as `token list` shows it")?;
            match store.revoke_token(&actor, id).await {
                Ok(_) => eprintln!("revoked {id}"),
                Err(StoreError::NotFound(Entity::Token)) => bail!("no token has the id {id}"),
                Err(error) => return Err(error.into()),
            }
        }
    }
    store.close().await;
    Ok(())
}

async fn kong_config(config: &Config, admin_address: Option<String>, plugins: bool) -> anyhow::Result<()> {
    let store = Store::open(config.store_options()).await.context("the store cannot be opened")?;
    let services = store.linked_services().await?;
    if services.is_empty() {
        eprintln!("no service serves a product version yet");
    }
    let address = admin_address.unwrap_or_else(|| config.filter_address.clone());
    let attach_as = if plugins { AttachAs::Plugin } else { AttachAs::FilterChain };
    print!("{}", declarative::fragment(&services, &address, config.gateway_token.as_ref(), attach_as));
    store.close().await;
    Ok(())
}

async fn load(config: &Config, plan: &SeedPlan) -> anyhow::Result<()> {
    let store = Store::open(config.store_options()).await.context("the store cannot be opened")?;
    let progress = |written: u64| {
        if written.is_multiple_of(100_000) {
            eprintln!("{written} of {} keys", plan.credentials());
        }
    };
    let revision = seed::seed(&store, plan, seed::key, progress).await?;
    println!("{revision}");
    store.close().await;
    Ok(())
}

/// An instant for people (RFC 3339), to the second.
fn when(at: Option<Timestamp>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_second(at.seconds()).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}
