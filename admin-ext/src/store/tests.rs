//! The store through its own door, on whichever database the environment names.

mod access_tokens;
mod derivation;
mod entities;
mod following;
mod issuers;
mod keeping;
mod mails;
mod overview;
mod products;
mod sessions;
mod traffic;
mod undo;
