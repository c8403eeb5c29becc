//! `/console/gateways`: who follows the feed, and how far each has got.

use serde::Serialize;

use super::extract::Path;
use super::failure::Failure;
use super::frame::{Answer, Frame};
use super::when::When;
use crate::nodes::NodeStatus;

#[derive(Serialize)]
struct ListShown {
    newest: u64,
    live: usize,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Node {
    name: String,
    version: String,
    applied: u64,
    /// Revisions it has still to apply.
    behind: u64,
    seen: When,
    live: bool,
}

#[derive(Serialize)]
struct Shown {
    newest: u64,
    node: Node,
}

fn newest(frame: &Frame) -> u64 {
    frame.app.store.newest().borrow().0
}

fn node(frame: &Frame, newest: u64, node: NodeStatus) -> Node {
    Node {
        name: node.node,
        version: node.version,
        applied: node.applied.0,
        behind: newest.saturating_sub(node.applied.0),
        seen: frame.when(node.seen_at),
        live: node.live,
    }
}

pub async fn list(frame: Frame) -> Answer {
    let newest = newest(&frame);
    let nodes: Vec<_> = frame.app.nodes.list().into_iter().map(|it| node(&frame, newest, it)).collect();
    let live = nodes.iter().filter(|node| node.live).count();
    frame.page("gateways.html", ListShown { newest, live, nodes }).await
}

pub async fn page(frame: Frame, Path(name): Path<String>) -> Answer {
    let newest = newest(&frame);
    let found = frame.app.nodes.list().into_iter().find(|node| node.node == name);
    let gone =
        Failure::NotFound("There is no such gateway. One that is not heard of for a day is forgotten.");
    let node = node(&frame, newest, found.ok_or(gone)?);
    frame.page("gateway.html", Shown { newest, node }).await
}
