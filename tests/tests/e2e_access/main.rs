//! Who may do what: the roles of tokens at every API, sign-in at the console, its sessions and forms.

mod openid;
mod roles;
mod secrets;
mod sessions;
mod visit;
