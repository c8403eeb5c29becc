//! The local stack: admin extension, gateway and echo upstream together. `run` serves it to an operator, `demo` tells a
//! story with it.

pub mod demo;
pub mod run;
pub mod settings;
