//! The commands an operator types: `run` prints lines that work as printed, stops with everything it started, and comes
//! back with the same data and tokens; `demo` tells its story to the end.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use app_auth_tests::process::Process;
use app_auth_tests::{ports, wait};
use rustix::process::Signal;

/// The stack's settings: ports of its own, data in a folder of the test's.
struct Stack {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    starts: u32,
}

const PORT_VARIABLES: [&str; 3] = ["APP_AUTH_GATEWAY_PORT", "APP_AUTH_ADMIN_PORT", "APP_AUTH_UPSTREAM_PORT"];

impl Stack {
    fn new() -> Result<Self> {
        let ports = [ports::free()?, ports::free()?, ports::free()?];
        Ok(Self { folder: tempfile::tempdir()?, ports, starts: 0 })
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
        command.arg(subcommand).env("APP_AUTH_DATA", self.folder.path().join("data"));
        for (name, port) in PORT_VARIABLES.iter().zip(self.ports) {
            command.env(name, port.to_string());
        }
        command
    }

    /// Starts it and waits for its last line.
    async fn run(&mut self) -> Result<Process> {
        self.starts += 1;
        let log = self.folder.path().join(format!("run-{}.log", self.starts));
        let mut process = Process::start("make run", self.command("run"), &log)?.stopped_by(Signal::INT);
        wait::until("the stack to be ready", async || {
            process.check_alive()?;
            Ok(process.log().contains("Ctrl-C stops everything"))
        })
        .await?;
        Ok(process)
    }
}

/// The token the stack printed.
fn admin_token(log: &str) -> Result<String> {
    let token = log.lines().find_map(|line| line.strip_prefix("admin token: "));
    Ok(token.context("no admin token is printed")?.to_owned())
}

/// Runs the printed shell lines; answers the status of each call to the gateway, in order.
fn run_printed_lines(log: &str, folder: &Path) -> Result<Vec<String>> {
    let lines: Vec<_> =
        log.lines().filter(|line| line.starts_with("export ") || line.starts_with("curl ")).collect();
    let script = folder.join("lines.sh");
    // A failed call must not go unnoticed: curl's own errors end the script.
    std::fs::write(&script, format!("set -e\n{}\n", lines.join("\n")))?;
    let Output { status, stdout, stderr } = Command::new("sh").arg(&script).output()?;
    let text = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{text}{}", String::from_utf8_lossy(&stderr));
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("HTTP/1.1 "))
        .map(|rest| rest[..3].to_owned())
        .collect())
}

#[tokio::test]
async fn given_a_fresh_folder_when_run_then_the_printed_lines_work_and_a_second_start_knows_the_data()
-> Result<()> {
    let mut stack = Stack::new()?;

    let first = stack.run().await?;
    assert_eq!(run_printed_lines(&first.log(), stack.folder.path())?, ["403", "200", "403"]);
    let token = admin_token(&first.log())?;
    let log = first.log();
    let console = log.lines().next().and_then(|line| line.strip_prefix("console ")).map(str::trim);
    let console = console.context("the console's address is printed first")?;
    assert_eq!(console, format!("http://127.0.0.1:{}/console", stack.ports[1]));
    let page = app_auth_tests::client::http().get(format!("{console}/sign-in")).send().await?;
    assert_eq!(page.status(), 200);
    assert!(page.text().await?.contains("Admin token"), "one can sign in");
    drop(first);
    for port in stack.ports {
        assert!(ports::is_free(port), "after Ctrl-C nothing listens on port {port}");
    }

    let second = stack.run().await?;
    assert_eq!(admin_token(&second.log())?, token);
    assert_eq!(run_printed_lines(&second.log(), stack.folder.path())?, ["403", "200", "403"]);
    let admin =
        app_auth_tests::client::Client::new(&format!("http://127.0.0.1:{}", stack.ports[1]), Some(&token));
    assert_eq!(
        admin.get("/developers").await?.expect(200)?.json()["total"],
        2,
        "one developer of each start"
    );
    Ok(())
}

#[test]
fn given_a_port_in_use_when_run_then_one_line_names_its_variable() -> Result<()> {
    let stack = Stack::new()?;
    for (variable, port) in PORT_VARIABLES.iter().zip(stack.ports) {
        let _taken = TcpListener::bind(("127.0.0.1", port))?;

        let output = stack.command("run").output()?;

        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(variable), "{error}");
    }
    Ok(())
}

#[test]
fn given_a_setting_that_is_no_number_when_run_then_one_line_names_its_variable() -> Result<()> {
    let stack = Stack::new()?;

    let output = stack.command("run").env("APP_AUTH_WORKERS", "many").output()?;

    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.trim(), "error: APP_AUTH_WORKERS: expected a number from 1 to 65535, got \"many\"");
    Ok(())
}

#[test]
fn given_nothing_when_the_demo_is_told_then_every_answer_is_as_expected() -> Result<()> {
    let stack = Stack::new()?;

    let output = stack.command("demo").output()?;

    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("every answer as expected"), "{text}");
    Ok(())
}
