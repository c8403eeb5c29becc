//! Identity providers: what is learnt from them and what they are told.

mod clients;

pub use self::clients::{ClientError, Clients, Created, Refreshed};
