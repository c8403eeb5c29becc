//! The commands behind `make run`, `make demo` and `make bench`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use app_auth_tests::bench;
use app_auth_tests::postgres::PostgresDatabase;
use app_auth_tests::stack::{demo, run};
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

#[derive(Parser)]
#[command(about = "The local stack: admin extension, gateway with the filter, echo upstream")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the stack in the foreground; settings come from the environment.
    Run,
    /// Tell the story of one connection against a stack of its own.
    Demo,
    /// Run a command with a PostgreSQL server of its own, named by `APP_AUTH_TEST_POSTGRES_URL`.
    #[command(hide = true)]
    WithPostgres {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Measure the filter beside Envoy's own ways to check a key, and the admin API on a full store.
    Bench {
        /// Everything once and small, to see that it works.
        #[arg(long)]
        quick: bool,
        #[arg(long, value_enum, default_value_t = bench::Part::All)]
        part: bench::Part,
    },
}

fn main() -> ExitCode {
    match start(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: &Command) -> Result<()> {
    match command {
        Command::Run => Runtime::new()?.block_on(run::run()),
        Command::Demo => Runtime::new()?.block_on(demo::demo()),
        Command::WithPostgres { command } => Runtime::new()?.block_on(with_postgres(command)),
        Command::Bench { quick, part } => bench::bench(*quick, *part),
    }
}

async fn with_postgres(command: &[String]) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("no command") };
    let database = PostgresDatabase::create().await?;
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).env("APP_AUTH_TEST_POSTGRES_URL", database.url());
    let status = child.status().await.with_context(|| program.clone())?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}
