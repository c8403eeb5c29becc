//! Identity providers: what is learnt from them and what they are told.

mod clients;
mod guard;
mod http;

pub use self::clients::{ClientError, Clients, Created, Refreshed};
pub use self::http::{IdpConfig, IdpHttp};
