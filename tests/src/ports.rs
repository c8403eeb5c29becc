//! Free loopback ports. They are taken from below the kernel's ephemeral range, so that a port stays free while its
//! program restarts: no outgoing connection is ever given it as a source port.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Result, bail};
use uuid::Uuid;

const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

static HANDED_OUT: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port on which nothing listens, never handed out twice by one process.
pub fn free() -> Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        // Random, because several test processes may run at once.
        let (high, low) = (Uuid::new_v4().as_bytes()[0], Uuid::new_v4().as_bytes()[1]);
        let port = FIRST + u16::from_be_bytes([high, low]) % COUNT;
        if !handed_out.contains(&port) && is_free(port) {
            handed_out.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}

/// Whether a server could listen on this loopback port now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
