//! Settings: a TOML file, overridden by the environment, overridden by flags. All three use the same names.

mod console;
mod settings;
mod values;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use app_auth_core::record::CredentialRecord;
use url::Url;

pub use self::settings::Settings;
use self::settings::UnknownName;
use self::values::{Value, value, wrong};
use crate::api::ApiSettings;
use crate::idp::IdpConfig;
use crate::kong::{AttachAs, FilterAddress, KongConfig};
use crate::mail::{Account, Encryption, MailConfig, Mechanism};
use crate::model::{
    MailSwitches, MetaField, OsEntropy, PlainSecret, PortalAuth, PortalConfig, SystemClock, rules,
};
use crate::store::{Limits, Reveal, SessionLimits, StoreOptions, TOKEN_MIN};

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
    pub sessions: SessionLimits,
    /// Whether revoking a developer keeps the developer's applications out, and not only the developer.
    pub revoke_developer_blocks: bool,
    /// How the developer portal behaves where nobody has set it otherwise at run time.
    pub portal: PortalConfig,
    pub mail: MailConfig,
    pub kong: Option<KongConfig>,
    /// Where filters on Kong find the admin extension, as `host:port`.
    pub filter_address: String,
    pub idp: IdpConfig,
}

pub use self::values::ConfigError;

impl Config {
    /// From flags and environment, and from the file they name.
    pub fn load(settings: Settings) -> Result<Self, ConfigError> {
        // Where a variable is passed on that nobody set, it is there and empty.
        let settings = settings.without_empty();
        let file = match &settings.config {
            Some(path) => read_file(&path.0)?,
            None => Settings::default(),
        };
        Self::new(&settings.or(file))
    }

    /// Checks every setting and puts defaults where there is none.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8005));
        let listen = value!(settings.listen).parsed(listen, "an address like 127.0.0.1:8005")?;
        let filter_address = value!(settings.kong_filter_admin_address).read(host_and_port)?;
        let filter_address = filter_address.unwrap_or_else(|| listen.to_string());
        let data = value!(settings.data).text().unwrap_or_else(|| "./data".to_owned());
        Ok(Self {
            listen,
            data: PathBuf::from(data),
            database_url: value!(settings.database_url).read(database_url)?,
            admin_token: value!(settings.admin_token).read(token)?,
            gateway_token: value!(settings.gateway_token).read(token)?,
            reveal: value!(settings.reveal)
                .one_of(Reveal::Always, &[("always", Reveal::Always), ("once", Reveal::Once)])?,
            log: value!(settings.log).read(log_filter)?.unwrap_or_else(|| "info".to_owned()),
            log_format: value!(settings.log_format)
                .one_of(LogFormat::Text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            api: ApiSettings {
                allow_loopback_without_token: value!(settings.allow_loopback_without_token).truth(false)?,
                console: console::console(settings)?,
            },
            limits: limits(settings)?,
            sessions: console::sessions(settings)?,
            revoke_developer_blocks: value!(settings.revoke_developer_blocks_traffic).truth(true)?,
            portal: portal(settings)?,
            mail: mail(settings)?,
            kong: kong(settings, &filter_address)?,
            filter_address,
            idp: idp(settings)?,
        })
    }

    /// What the store needs, with the system's clock and randomness.
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            database_url: self.database_url.as_ref().map(|url| url.expose().to_owned()),
            data: self.data.clone(),
            reveal: self.reveal,
            limits: self.limits,
            sessions: self.sessions,
            portal: self.portal.clone(),
            follows_kong: self.kong.is_some(),
            attaches_filter: self.kong.as_ref().is_some_and(|kong| kong.filter.is_some()),
            revoke_developer_blocks: self.revoke_developer_blocks,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }
}

fn read_file(path: &str) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| wrong("config", format!("{path}: {error}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        // The part before the `=` names the key; what follows may be a secret.
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        let message = error.message().replace('\n', " ");
        wrong("config", format!("{path} line {number}: {key}: {message}"))
    })?;
    Settings::from_table(&table)
        .map_err(|UnknownName(name)| wrong("config", format!("{path}: there is no setting '{name}'")))
}

fn database_url(url: &str) -> Result<PlainSecret, &'static str> {
    // The URL may hold a password, so the message does not show it.
    let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if !known {
        return Err("expected sqlite:… or postgres://…");
    }
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err("a database in memory is lost at every stop; name a file");
    }
    Ok(PlainSecret::new(url))
}

fn token(value: &str) -> Result<PlainSecret, String> {
    if value.len() < TOKEN_MIN || value.len() > 512 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("expected {TOKEN_MIN} to 512 printable ASCII characters without spaces"));
    }
    Ok(PlainSecret::new(value))
}

fn log_filter(value: &str) -> Result<String, String> {
    match value.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(format!("expected a level or targets with levels, got '{value}'")),
    }
}

fn limits(settings: &Settings) -> Result<Limits, ConfigError> {
    let defaults = Limits::default();
    Ok(Limits {
        applications_per_developer: value!(settings.applications_per_developer)
            .count(defaults.applications_per_developer, 1..=1_000_000)?,
        credentials_per_kind: value!(settings.credentials_per_kind)
            .count(defaults.credentials_per_kind, 1..=1_000_000)?,
        connections_per_application: value!(settings.connections_per_application)
            .count(defaults.connections_per_application, 1..=CredentialRecord::CONNECTIONS_MAX as u64)?,
    })
}

fn portal(settings: &Settings) -> Result<PortalConfig, ConfigError> {
    let defaults = PortalConfig::default();
    let admins = value!(settings.smtp_admin_emails).read(addresses)?;
    Ok(PortalConfig {
        auth: value!(settings.portal_auth).read(|text| {
            PortalAuth::parse(text)
                .ok_or_else(|| format!("expected basic-auth, key-auth or openid-connect, got '{text}'"))
        })?,
        auto_approve: value!(settings.portal_auto_approve).truth(defaults.auto_approve)?,
        meta_fields: value!(settings.portal_developer_meta_fields)
            .read(|text| MetaField::parse_list(text).map_err(|invalid| invalid.reason))?
            .unwrap_or(defaults.meta_fields),
        mails: MailSwitches {
            invite: value!(settings.portal_invite_email).truth(defaults.mails.invite)?,
            access_request: value!(settings.portal_access_request_email)
                .truth(defaults.mails.access_request)?,
            approved: value!(settings.portal_approved_email).truth(defaults.mails.approved)?,
            application_status: value!(settings.portal_application_status_email)
                .truth(defaults.mails.application_status)?,
            application_request: value!(settings.portal_application_request_email)
                .truth(defaults.mails.application_request)?,
        },
        emails_from: value!(settings.portal_emails_from).read(mailbox)?,
        emails_reply_to: value!(settings.portal_emails_reply_to).read(mailbox)?,
        admin_emails: value!(settings.portal_smtp_admin_emails)
            .read(addresses)?
            .or(admins)
            .unwrap_or_default(),
    })
}

fn mailbox(text: &str) -> Result<String, String> {
    match rules::mailbox("", text) {
        Ok(()) => Ok(text.to_owned()),
        Err(invalid) => Err(format!("{}, got '{text}'", invalid.reason)),
    }
}

fn addresses(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(|one| mailbox(one.trim())).collect()
}

fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("expected a URL like https://host:port".to_owned()),
    }
}

fn mail(settings: &Settings) -> Result<MailConfig, ConfigError> {
    let encryption =
        match (value!(settings.smtp_ssl).truth(false)?, value!(settings.smtp_starttls).truth(false)?) {
            (true, true) => {
                return Err(wrong("smtp_ssl", "only one of smtp_ssl and smtp_starttls may be on"));
            }
            (true, false) => Encryption::Tls,
            (false, true) => Encryption::StartTls,
            (false, false) => Encryption::None,
        };
    let port = u64::from(encryption.default_port());
    let milliseconds = |value: Value| value.count(60_000, 1..=3_600_000).map(Duration::from_millis);
    let default = |text: &str| Url::parse(text).map_err(|_| wrong("portal_gui_url", "expected a URL"));
    let username = value!(settings.smtp_username).text();
    let password = value!(settings.smtp_password).secret();
    Ok(MailConfig {
        mock: value!(settings.smtp_mock).truth(true)?,
        host: value!(settings.smtp_host).text().unwrap_or_else(|| "localhost".to_owned()),
        port: u16::try_from(value!(settings.smtp_port).count(port, 1..=65_535)?).unwrap_or_default(),
        encryption,
        ca_file: value!(settings.smtp_ca_file).text().map(PathBuf::from),
        account: match (username, password) {
            (None, None) => None,
            (Some(username), Some(password)) => Some(Account { username, password }),
            (None, Some(_)) => return Err(wrong("smtp_username", "required with smtp_password")),
            (Some(_), None) => return Err(wrong("smtp_password", "required with smtp_username")),
        },
        mechanism: value!(settings.smtp_auth_type).one_of(
            None,
            &[("plain", Some(Mechanism::Plain)), ("login", Some(Mechanism::Login)), ("nil", None)],
        )?,
        domain: value!(settings.smtp_domain).text().unwrap_or_else(|| "localhost.localdomain".to_owned()),
        connect_timeout: milliseconds(value!(settings.smtp_timeout_connect))?,
        send_timeout: milliseconds(value!(settings.smtp_timeout_send))?,
        read_timeout: milliseconds(value!(settings.smtp_timeout_read))?,
        templates: value!(settings.mail_templates).text().map(PathBuf::from),
        portal_url: match value!(settings.portal_gui_url).read(url)? {
            Some(url) => url,
            None => default("http://localhost:8003")?,
        },
        admin_url: match (value!(settings.admin_gui_url).read(url)?, console::console(settings)?.url) {
            (Some(url), _) | (None, Some(url)) => url,
            (None, None) => default("http://localhost:8005/console")?,
        },
    })
}

fn kong(settings: &Settings, filter_address: &str) -> Result<Option<KongConfig>, ConfigError> {
    let admin_url = value!(settings.kong_admin_url).read(url)?;
    let admin_token = value!(settings.kong_admin_token).secret();
    let timeout = value!(settings.kong_timeout).count(5000, 100..=60_000)?;
    let attach_as = value!(settings.kong_attach_as).one_of(
        AttachAs::WhatKongHas,
        &[("plugin", AttachAs::Plugin), ("filter-chain", AttachAs::FilterChain)],
    )?;
    let filter = FilterAddress {
        address: filter_address.to_owned(),
        attach_as,
        token: value!(settings.gateway_token).read(token)?,
    };
    let filter = value!(settings.kong_attach_filter).truth(true)?.then_some(filter);
    let timeout = Duration::from_millis(timeout);
    Ok(admin_url.map(|admin_url| KongConfig { admin_url, token: admin_token, timeout, filter }))
}

fn host_and_port(text: &str) -> Result<String, &'static str> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'@')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if fits { Ok(text.to_owned()) } else { Err("expected host:port") }
}

fn idp(settings: &Settings) -> Result<IdpConfig, ConfigError> {
    let default = |key: &str, text: &str| Url::parse(text).map_err(|_| wrong(key, "expected a URL"));
    let timeout = value!(settings.idp_timeout).count(10_000, 100..=20_000)?;
    let issuer_interval = value!(settings.idp_issuer_interval).count(2_000, 100..=10_000)?;
    Ok(IdpConfig {
        allow_http: value!(settings.idp_allow_http).truth(false)?,
        timeout: Duration::from_millis(timeout),
        issuer_interval: Duration::from_millis(issuer_interval),
        ca_file: value!(settings.idp_ca_file).text().map(PathBuf::from),
        azure_login: match value!(settings.idp_azure_login_url).read(url)? {
            Some(url) => url,
            None => default("idp_azure_login_url", "https://login.microsoftonline.com")?,
        },
        azure_graph: match value!(settings.idp_azure_graph_url).read(url)? {
            Some(url) => url,
            None => default("idp_azure_graph_url", "https://graph.microsoft.com")?,
        },
        sign_in: console::sign_in(settings)?,
    })
}

/// Every setting, without its secrets.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |secret: &Option<PlainSecret>| if secret.is_some() { "(set)" } else { "(not set)" };
        let database = self.database_url.as_ref().map_or_else(
            || "sqlite in the data folder".to_owned(),
            |database| match Url::parse(database.expose()) {
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
             credentials_per_kind={} connections_per_application={} smtp={} kong={} console_url={} \
             console_oidc_issuer={}",
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
            self.mail,
            self.kong.as_ref().map_or("(not set)", |kong| kong.admin_url.host_str().unwrap_or_default()),
            self.api.console.url.as_ref().map_or("(not set)", Url::as_str),
            self.idp.sign_in.as_ref().map_or("(not set)", |sign_in| &*sign_in.issuer),
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
        Config::load(Settings { config: Some(path.to_str().unwrap().into()), ..Settings::default() })
    }

    #[test]
    fn without_settings_the_defaults_hold() {
        let config = Config::new(&Settings::default()).unwrap();
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
            config: Some(path.to_str().unwrap().into()),
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
            listen: Some("".into()),
            admin_token: Some("".into()),
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
            ("smtp_ssl = true\nsmtp_starttls = true", "smtp_ssl"),
            ("[smtp]\nport = 70000", "smtp_port"),
            ("[smtp]\nprot = 7", "smtp.prot"),
            ("smtp_username = 'me'", "smtp_password"),
            ("portal_auth = 'ldap'", "portal_auth"),
            ("portal_emails_from = 'nobody'", "portal_emails_from"),
            ("portal_developer_meta_fields = '[{}]'", "portal_developer_meta_fields"),
            ("kong.admin_url = 'localhost:8001'", "kong_admin_url"),
            ("console_url = 'https://a.example.com/admin'", "console_url"),
            ("[console]\nsession_idle = 1", "console_session_idle"),
            ("[console]\noidc_issuer = 'https://a.example.com?x=y'", "console_oidc_issuer"),
            ("[console]\noidc_issuer = 'https://a.example.com'", "console_oidc_client_id"),
            ("[console]\noidc_issuer = 'https://a.example.com'\noidc_client_id = 'us'", "console_url"),
            (
                "[console]\nurl = 'https://b.example.com'\noidc_issuer = 'https://a.example.com'\noidc_client_id = 'us'",
                "console_oidc_admins",
            ),
            ("console_oidc_client_id = 'us'", "console_oidc_issuer"),
            ("console_oidc_scopes = 'profile'", "console_oidc_scopes"),
        ] {
            let error = from_file(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(key) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_table_of_the_file_is_a_prefix_and_lists_are_lists() {
        let config = from_file(
            "portal_auth = 'key-auth'\n[kong]\nadmin_url = 'http://127.0.0.1:8001'\n[smtp]\nmock = 'off'\n\
             starttls = true\nadmin_emails = ['a@example.com', 'B <b@example.com>']\n\
             [[portal.developer_meta_fields]]\ntitle = 'team'\nvalidator = { type = 'string' }",
        );
        let config = config.ok().unwrap();
        assert_eq!(
            config.kong.map(|kong| kong.admin_url.to_string()).as_deref(),
            Some("http://127.0.0.1:8001/")
        );
        assert_eq!((config.mail.mock, config.mail.port), (false, 587));
        assert_eq!(config.portal.admin_emails, ["a@example.com", "B <b@example.com>"]);
        assert_eq!(config.portal.auth, Some(PortalAuth::KeyAuth));
        assert_eq!(config.portal.meta_fields.len(), 1);
    }

    #[test]
    fn what_is_printed_holds_no_secret() {
        let config = Config::new(&Settings {
            database_url: Some("postgres://user:hunter22@db.example.com/app?password=hunter22".into()),
            admin_token: Some("hunter22hunter22".into()),
            gateway_token: Some("hunter22hunter22".into()),
            kong_admin_url: Some("http://user:hunter22@kong.example.com".into()),
            kong_admin_token: Some("hunter22".into()),
            smtp_mock: Some("false".into()),
            smtp_username: Some("me".into()),
            smtp_password: Some("hunter22".into()),
            console_url: Some("https://admin.example.com".into()),
            console_oidc_issuer: Some("https://idp.example.com".into()),
            console_oidc_client_id: Some("us".into()),
            console_oidc_client_secret: Some("hunter22".into()),
            console_oidc_admins: Some("ops, staff".into()),
            ..Settings::default()
        })
        .unwrap();
        let sign_in = config.idp.sign_in.as_ref().unwrap();
        let uri = sign_in.redirect_uri.as_str();
        assert_eq!(uri, "https://admin.example.com/console/sign-in/openid/callback");
        assert_eq!(sign_in.roles.admins, ["ops", "staff"]);
        assert!(!format!("{sign_in:?}").contains("hunter22"));
        let printed = config.to_string();
        assert!(!printed.contains("hunter22"), "{printed}");
        assert!(printed.contains("db.example.com/app"), "{printed}");
    }
}
