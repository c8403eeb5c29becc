//! Auth strategies, one file each: a strategy turns a request into the credential it presents, or a refusal. It does not
//! know connections; [`crate::decision`] does.

pub mod key_auth;
