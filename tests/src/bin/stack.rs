//! The commands behind `make run`, `make demo` and `make bench`.

use std::process::ExitCode;

use anyhow::Result;
use app_auth_tests::stack::{demo, run};
use clap::{Parser, Subcommand};

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
    let runtime = tokio::runtime::Runtime::new()?;
    match command {
        Command::Run => runtime.block_on(run::run()),
        Command::Demo => runtime.block_on(demo::demo()),
    }
}
