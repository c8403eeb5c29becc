//! The program `app-auth-admin`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match app_auth_admin::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, causes included.
            eprintln!("app-auth-admin: {error:#}");
            ExitCode::FAILURE
        }
    }
}
