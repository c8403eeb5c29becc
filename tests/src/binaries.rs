//! Where the programs under test are. An environment variable names each; otherwise it is where `make build` puts it.
//! A missing one is a one-line error that names the variable and the command that makes it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder for everything that is built or measured.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// The admin extension's binary: the newer of the release and the debug build.
pub fn admin() -> Result<PathBuf> {
    let builds = ["release", "debug"].map(|profile| target().join(profile).join("app-auth-admin"));
    let newest = builds
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max_by_key(|(modified, _)| *modified)
        .map(|(_, path)| path);
    locate("the admin extension", "APP_AUTH_ADMIN_BIN", newest, "cargo build -p app-auth-admin")
}

/// The filter, `app_auth.wasm`.
pub fn wasm() -> Result<PathBuf> {
    let built = workspace().join("target/gateway/app_auth.wasm");
    locate("the filter app_auth.wasm", "APP_AUTH_WASM", Some(built), "make build")
}

/// Python of the virtual environment under `target/`, with the packages of the tests' own servers.
pub fn python() -> Result<PathBuf> {
    let installed = workspace().join("target/venv/bin/python");
    locate("Python with aiosmtpd", "APP_AUTH_PYTHON_BIN", Some(installed), "tests/setup/tools.sh smtp")
}

/// Envoy, from the pinned Python package in the virtual environment under `target/`.
pub fn envoy() -> Result<PathBuf> {
    let libraries = workspace().join("target/venv/lib");
    let installed = libraries
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.is_file());
    locate("Envoy", "APP_AUTH_ENVOY_BIN", installed, "tests/setup/tools.sh envoy")
}

/// Where the packages of the tests' OpenID provider are.
pub fn node_modules() -> Result<PathBuf> {
    let installed = workspace().join("target/idp/node_modules");
    let manifest = installed.join("oidc-provider/package.json");
    locate("npm's oidc-provider", "APP_AUTH_OIDC_PROVIDER", Some(manifest), "tests/setup/tools.sh idp")?;
    Ok(installed)
}

/// Chromium, from Debian's package.
pub fn chromium() -> Result<PathBuf> {
    locate("Chromium", "APP_AUTH_CHROMIUM_BIN", on_path("chromium"), "tests/setup/tools.sh browser")
}

/// Chromium's WebDriver.
pub fn chromedriver() -> Result<PathBuf> {
    locate(
        "chromedriver",
        "APP_AUTH_CHROMEDRIVER_BIN",
        on_path("chromedriver"),
        "tests/setup/tools.sh browser",
    )
}

/// npm's axe-core, which looks for barriers in pages.
pub fn axe() -> Result<PathBuf> {
    let installed = workspace().join("target/axe/node_modules/axe-core/axe.min.js");
    locate("npm's axe-core", "APP_AUTH_AXE", Some(installed), "tests/setup/tools.sh browser")
}

/// A program on the PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn locate(what: &str, variable: &str, default: Option<PathBuf>, remedy: &str) -> Result<PathBuf> {
    let named = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    match named.or(default) {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => {
            bail!("{what} is missing: no file {}; run `{remedy}` or set {variable}", path.display())
        }
        None => bail!("{what} is missing; run `{remedy}` or set {variable}"),
    }
}
