//! The console in a real browser, with the gateway's answer looked at after every click; and what pages look like: pictures
//! in `target/screens/`, and no barrier that axe-core knows of.

mod applications;
mod common;
mod developers;
mod gateways_audit;
mod people;
mod requests;
mod strategies;
mod without_scripts;
