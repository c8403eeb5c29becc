//! Tokens of a real `OpenID` provider: what the admin extension does for gateways that must let them in or keep them out.

mod admin_calls;
