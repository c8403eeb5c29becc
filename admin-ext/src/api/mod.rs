//! The HTTP side. `legacy` serves `/developers` and `/services`; `gateway` serves the feed.

pub mod legacy;

use crate::store::Store;

/// What every handler gets as its state.
///
/// A handler of a write takes `Extension<Actor>` (the caller, put there by the authentication layer) and puts the
/// [`Revision`](app_auth_core::ids::Revision) that [`Writer::commit`](crate::store::Writer::commit) answered into the
/// response's extensions; the `Prefer: wait` layer does the rest.
#[derive(Clone)]
pub struct App {
    pub store: Store,
}
