//! Settings: a TOML file, overridden by the environment, overridden by flags. All three use the same names.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use app_auth_core::record::CredentialRecord;
use serde::Deserialize;

use crate::api::ApiSettings;
use crate::model::{OsEntropy, PlainSecret, SystemClock};
use crate::store::{Limits, Reveal, StoreOptions, TOKEN_MIN};

/// What may be set, as text: flags and environment through clap, the file through serde.
#[derive(clap::Args, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// TOML file with any of these settings.
    #[arg(long, env = "APP_AUTH_CONFIG", global = true)]
    #[serde(skip)]
    pub config: Option<String>,
    /// Address to listen on. [default: 127.0.0.1:8005]
    #[arg(long, env = "APP_AUTH_LISTEN", global = true)]
    pub listen: Option<String>,
    /// Folder of the key file and, by default, the database. [default: ./data]
    #[arg(long, env = "APP_AUTH_DATA", global = true)]
    pub data: Option<String>,
    /// `sqlite:…` or `postgres://…`. [default: SQLite in the data folder]
    #[arg(long, env = "APP_AUTH_DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<String>,
    /// The first admin token. [default: generated and printed once]
    #[arg(long, env = "APP_AUTH_ADMIN_TOKEN", global = true, hide_env_values = true)]
    pub admin_token: Option<String>,
    /// The first gateway token. [default: generated and printed once]
    #[arg(long, env = "APP_AUTH_GATEWAY_TOKEN", global = true, hide_env_values = true)]
    pub gateway_token: Option<String>,
    /// Whether keys can be read again after they were made: `always` or `once`. [default: always]
    #[arg(long, env = "APP_AUTH_REVEAL", global = true)]
    pub reveal: Option<String>,
    /// What to log, like `info` or `app_auth_admin=debug`. [default: info]
    #[arg(long, env = "APP_AUTH_LOG", global = true)]
    pub log: Option<String>,
    /// `text` or `json`. [default: text]
    #[arg(long, env = "APP_AUTH_LOG_FORMAT", global = true)]
    pub log_format: Option<String>,
    /// `true` lets callers on this machine in without a token. [default: false]
    #[arg(long, env = "APP_AUTH_ALLOW_LOOPBACK_WITHOUT_TOKEN", global = true)]
    pub allow_loopback_without_token: Option<Scalar>,
    /// Most applications of one developer. [default: 500]
    #[arg(long, env = "APP_AUTH_APPLICATIONS_PER_DEVELOPER", global = true)]
    pub applications_per_developer: Option<Scalar>,
    /// Most credentials of one application and kind. [default: 20]
    #[arg(long, env = "APP_AUTH_CREDENTIALS_PER_KIND", global = true)]
    pub credentials_per_kind: Option<Scalar>,
    /// Most connections of one application, at most 1000. [default: 1000]
    #[arg(long, env = "APP_AUTH_CONNECTIONS_PER_APPLICATION", global = true)]
    pub connections_per_application: Option<Scalar>,
}

/// A number or truth value, which TOML writes bare and the environment as text.
#[derive(Clone, Deserialize, Debug)]
#[serde(from = "TomlScalar")]
pub struct Scalar(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum TomlScalar {
    Truth(bool),
    Number(i64),
    Text(String),
}

impl From<TomlScalar> for Scalar {
    fn from(value: TomlScalar) -> Self {
        Self(match value {
            TomlScalar::Truth(value) => value.to_string(),
            TomlScalar::Number(value) => value.to_string(),
            TomlScalar::Text(value) => value,
        })
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

/// Settings that hold.
#[derive(Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub database_url: Option<PlainSecret>,
    pub admin_token: Option<PlainSecret>,
    pub gateway_token: Option<PlainSecret>,
    pub reveal: Reveal,
    pub log: String,
    pub log_format: LogFormat,
    pub api: ApiSettings,
    pub limits: Limits,
}

/// A setting that cannot be used, by its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    key: String,
    reason: String,
}

fn wrong(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError { key: key.to_owned(), reason: reason.into() }
}

impl Config {
    /// From flags and environment, and from the file they name.
    pub fn load(settings: Settings) -> Result<Self, ConfigError> {
        // Where a variable is passed on that nobody set, it is there and empty.
        let settings = settings.without_empty();
        let file = match &settings.config {
            Some(path) => read_file(path)?,
            None => Settings::default(),
        };
        Self::new(settings.or(file))
    }

    /// Checks every setting and puts defaults where there is none.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let listen = settings.listen.as_deref().unwrap_or("127.0.0.1:8005");
        let listen = listen.parse().map_err(|_| {
            wrong("listen", format!("expected an address like 127.0.0.1:8005, got '{listen}'"))
        })?;
        let data = settings.data.as_deref().unwrap_or("./data");
        if data.is_empty() {
            return Err(wrong("data", "expected the path of a folder"));
        }
        let defaults = Limits::default();
        let connections = count(
            "connections_per_application",
            settings.connections_per_application,
            defaults.connections_per_application,
        )?;
        if connections > CredentialRecord::CONNECTIONS_MAX as u64 {
            let most = CredentialRecord::CONNECTIONS_MAX;
            return Err(wrong("connections_per_application", format!("expected at most {most}")));
        }
        Ok(Self {
            listen,
            data: PathBuf::from(data),
            database_url: settings.database_url.map(|url| database_url(&url)).transpose()?,
            admin_token: token("admin_token", settings.admin_token)?,
            gateway_token: token("gateway_token", settings.gateway_token)?,
            reveal: match settings.reveal.as_deref() {
                None | Some("always") => Reveal::Always,
                Some("once") => Reveal::Once,
                Some(other) => {
                    return Err(wrong("reveal", format!("expected always or once, got '{other}'")));
                }
            },
            log: log_filter(settings.log)?,
            log_format: match settings.log_format.as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(other) => {
                    return Err(wrong("log_format", format!("expected text or json, got '{other}'")));
                }
            },
            api: ApiSettings {
                allow_loopback_without_token: truth(
                    "allow_loopback_without_token",
                    settings.allow_loopback_without_token.as_ref(),
                )?,
            },
            limits: Limits {
                applications_per_developer: count(
                    "applications_per_developer",
                    settings.applications_per_developer,
                    defaults.applications_per_developer,
                )?,
                credentials_per_kind: count(
                    "credentials_per_kind",
                    settings.credentials_per_kind,
                    defaults.credentials_per_kind,
                )?,
                connections_per_application: connections,
            },
        })
    }

    /// What the store needs, with the system's clock and randomness.
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            database_url: self.database_url.as_ref().map(|url| url.expose().to_owned()),
            data: self.data.clone(),
            reveal: self.reveal,
            limits: self.limits,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }
}

impl Settings {
    /// These settings without those that are set to nothing.
    fn without_empty(self) -> Self {
        let text = |value: Option<String>| value.filter(|value| !value.is_empty());
        let scalar = |value: Option<Scalar>| value.filter(|Scalar(value)| !value.is_empty());
        Self {
            config: text(self.config),
            listen: text(self.listen),
            data: text(self.data),
            database_url: text(self.database_url),
            admin_token: text(self.admin_token),
            gateway_token: text(self.gateway_token),
            reveal: text(self.reveal),
            log: text(self.log),
            log_format: text(self.log_format),
            allow_loopback_without_token: scalar(self.allow_loopback_without_token),
            applications_per_developer: scalar(self.applications_per_developer),
            credentials_per_kind: scalar(self.credentials_per_kind),
            connections_per_application: scalar(self.connections_per_application),
        }
    }

    /// These settings, and those of `other` where these have none.
    fn or(self, other: Self) -> Self {
        Self {
            config: self.config.or(other.config),
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            database_url: self.database_url.or(other.database_url),
            admin_token: self.admin_token.or(other.admin_token),
            gateway_token: self.gateway_token.or(other.gateway_token),
            reveal: self.reveal.or(other.reveal),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            allow_loopback_without_token: self
                .allow_loopback_without_token
                .or(other.allow_loopback_without_token),
            applications_per_developer: self.applications_per_developer.or(other.applications_per_developer),
            credentials_per_kind: self.credentials_per_kind.or(other.credentials_per_kind),
            connections_per_application: self
                .connections_per_application
                .or(other.connections_per_application),
        }
    }
}

fn read_file(path: &str) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| wrong("config", format!("{path}: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        // The part before the `=` names the key; what follows may be a secret.
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        let message = error.message().replace('\n', " ");
        wrong("config", format!("{path} line {number}: {key}: {message}"))
    })
}

fn database_url(url: &str) -> Result<PlainSecret, ConfigError> {
    // The URL may hold a password, so the message does not show it.
    let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if !known {
        return Err(wrong("database_url", "expected sqlite:… or postgres://…"));
    }
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(wrong("database_url", "a database in memory is lost at every stop; name a file"));
    }
    Ok(PlainSecret::new(url))
}

fn token(key: &str, value: Option<String>) -> Result<Option<PlainSecret>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    if value.len() < TOKEN_MIN || value.len() > 512 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = format!("expected {TOKEN_MIN} to 512 printable ASCII characters without spaces");
        return Err(wrong(key, reason));
    }
    Ok(Some(PlainSecret::new(value)))
}

fn count(key: &str, value: Option<Scalar>, default: u64) -> Result<u64, ConfigError> {
    let Some(Scalar(value)) = value else { return Ok(default) };
    match value.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err(wrong(key, format!("expected a number from 1 to 1000000, got '{value}'"))),
    }
}

fn truth(key: &str, value: Option<&Scalar>) -> Result<bool, ConfigError> {
    match value.map(|Scalar(value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(wrong(key, format!("expected true or false, got '{other}'"))),
    }
}

fn log_filter(value: Option<String>) -> Result<String, ConfigError> {
    let value = value.unwrap_or_else(|| "info".to_owned());
    match value.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(value),
        Err(_) => Err(wrong("log", format!("expected a level or targets with levels, got '{value}'"))),
    }
}

/// Every setting, without its secrets.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |secret: &Option<PlainSecret>| if secret.is_some() { "(set)" } else { "(not set)" };
        let database = self.database_url.as_ref().map_or_else(
            || "sqlite in the data folder".to_owned(),
            |database| match url::Url::parse(database.expose()) {
                // Passwords may also stand in the query.
                Ok(url) => match url.host_str() {
                    Some(host) => format!("{}://{host}{}", url.scheme(), url.path()),
                    None => format!("{}:{}", url.scheme(), url.path()),
                },
                Err(_) => "(set)".to_owned(),
            },
        );
        write!(
            f,
            "listen={} data={} database_url={database} admin_token={} gateway_token={} reveal={:?} log={} \
             log_format={:?} allow_loopback_without_token={} applications_per_developer={} \
             credentials_per_kind={} connections_per_application={}",
            self.listen,
            self.data.display(),
            set(&self.admin_token),
            set(&self.gateway_token),
            self.reveal,
            self.log,
            self.log_format,
            self.api.allow_loopback_without_token,
            self.limits.applications_per_developer,
            self.limits.credentials_per_kind,
            self.limits.connections_per_application,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, text).unwrap();
        Config::load(Settings { config: Some(path.to_str().unwrap().to_owned()), ..Settings::default() })
    }

    #[test]
    fn without_settings_the_defaults_hold() {
        let config = Config::new(Settings::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8005");
        assert_eq!(config.limits, Limits::default());
        assert!(!config.api.allow_loopback_without_token);
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, "listen = '127.0.0.1:1'\ncredentials_per_kind = 5\nreveal = 'once'").unwrap();
        let config = Config::load(Settings {
            config: Some(path.to_str().unwrap().to_owned()),
            listen: Some("127.0.0.1:2".into()),
            ..Settings::default()
        })
        .unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.limits.credentials_per_kind, 5);
        assert_eq!(config.reveal, Reveal::Once);
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let empty = Settings {
            listen: Some(String::new()),
            admin_token: Some(String::new()),
            credentials_per_kind: Some("".into()),
            ..Settings::default()
        };
        let config = Config::load(empty).unwrap();
        assert_eq!(config.listen.port(), 8005);
        assert!(config.admin_token.is_none());
    }

    #[test]
    fn a_wrong_value_is_one_line_that_names_the_key() {
        for (text, key) in [
            ("listen = 'here'", "listen"),
            ("listen = 5", "listen"),
            ("lissten = 'x'", "lissten"),
            ("reveal = 'sometimes'", "reveal"),
            ("database_url = 'mysql://h/d'", "database_url"),
            ("admin_token = 'short'", "admin_token"),
            ("credentials_per_kind = 0", "credentials_per_kind"),
            ("connections_per_application = 1001", "connections_per_application"),
            ("allow_loopback_without_token = 'yes'", "allow_loopback_without_token"),
            ("log_format = 'xml'", "log_format"),
        ] {
            let error = from_file(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(key) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_holds_no_secret() {
        let config = Config::new(Settings {
            database_url: Some("postgres://user:hunter22@db.example.com/app?password=hunter22".into()),
            admin_token: Some("hunter22hunter22".into()),
            gateway_token: Some("hunter22hunter22".into()),
            ..Settings::default()
        })
        .unwrap();
        let printed = config.to_string();
        assert!(!printed.contains("hunter22"), "{printed}");
        assert!(printed.contains("db.example.com/app"), "{printed}");
    }
}
