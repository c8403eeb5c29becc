//! The store through its own door, on whichever database the environment names.

mod derivation;
mod entities;
mod following;
mod issuers;
mod keeping;
mod mails;
mod products;
