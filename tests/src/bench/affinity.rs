//! Which processor runs what: the gateway has the first one to itself, the load and the upstream share the rest. So the
//! gateway is what saturates, and a ratio of requests per second compares gateways.

use std::process::Command;

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::binaries;

/// Moves this process, and all it starts from now on, off the gateway's processor. Answers whether there is one to
/// spare. Call it before any thread is started.
pub fn leave_gateway_core() -> Result<bool> {
    let mut allowed = sched_getaffinity(None)?;
    let Some(first) = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)) else { return Ok(false) };
    if allowed.count() < 2 || first != GATEWAY_CORE || binaries::on_path("taskset").is_none() {
        return Ok(false);
    }
    allowed.unset(first);
    sched_setaffinity(None, &allowed)?;
    Ok(true)
}

const GATEWAY_CORE: usize = 0;

/// The same command on the gateway's processor, if this process has left it.
pub fn on_gateway_core(command: Command) -> Command {
    if sched_getaffinity(None).is_ok_and(|allowed| allowed.is_set(GATEWAY_CORE)) {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &GATEWAY_CORE.to_string()]).arg(command.get_program()).args(command.get_args());
    pinned
}
