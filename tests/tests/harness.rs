//! The harness itself: what it starts, it also stops.

use std::process::Command;

use anyhow::Result;
use app_auth_tests::{ports, postgres::PostgresDatabase, process::Process, wait};

#[tokio::test]
async fn given_a_dropped_process_when_looked_for_then_it_and_its_children_are_gone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 600 & echo $!; wait"]);
    let process = Process::start("a shell", command, &folder.path().join("log"))?;
    let grandchild =
        wait::for_some("the grandchild", async || Ok(process.log().trim().parse::<u32>().ok())).await?;
    let child = process.pid();

    drop(process);

    // The grandchild is reaped by init, which may take a moment.
    wait::until("both to be gone", async || Ok(!is_running(child) && !is_running(grandchild))).await
}

#[tokio::test]
async fn given_two_tests_databases_when_one_is_written_then_the_other_does_not_see_it() -> Result<()> {
    let (one, other) = (PostgresDatabase::create().await?, PostgresDatabase::create().await?);

    one.query("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")?;

    assert_eq!(one.query("SELECT n FROM t")?, "7");
    assert_eq!(other.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")?, "0");
    Ok(())
}

#[test]
fn given_two_free_ports_when_compared_then_they_differ() -> Result<()> {
    assert_ne!(ports::free()?, ports::free()?);
    Ok(())
}

/// Zombies do not count: they run nothing any more.
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
