//! The names of all settings: one list for flags, environment and file. What they may hold is checked in `super`.
#![expect(clippy::doc_markdown, reason = "the documentation of a setting is the help of its flag")]

/// The text of a setting. TOML writes numbers, truth values and lists bare; environment and flags know text only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Text {
    /// As TOML has it: a list of texts joins with commas, anything deeper becomes JSON.
    fn from_toml(value: &toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self(text.clone()),
            toml::Value::Array(elements) if elements.iter().all(toml::Value::is_str) => {
                let texts: Vec<_> = elements.iter().filter_map(toml::Value::as_str).collect();
                Self(texts.join(","))
            }
            toml::Value::Array(_) | toml::Value::Table(_) => {
                Self(serde_json::to_string(value).unwrap_or_default())
            }
            other => Self(other.to_string()),
        }
    }
}

macro_rules! settings {
    ($( $(#[doc = $doc:literal])* $name:ident, )*) => {
        /// Every setting as it was given; checked by [`Config::new`](super::Config::new).
        #[derive(clap::Args, Default, Clone)]
        pub struct Settings {
            /// TOML file with any of these settings; `[table] key` is the same as `table_key`.
            #[arg(long, global = true)]
            pub config: Option<Text>,
            $( $(#[doc = $doc])* #[arg(long, global = true)] pub $name: Option<Text>, )*
        }

        impl Settings {
            /// These settings, and those of `other` where these have none.
            pub(super) fn or(self, other: Self) -> Self {
                Self {
                    config: self.config.or(other.config),
                    $( $name: self.$name.or(other.$name), )*
                }
            }

            /// These settings without those that are set to nothing.
            pub(super) fn without_empty(self) -> Self {
                let some = |text: Option<Text>| text.filter(|Text(text)| !text.is_empty());
                Self { config: some(self.config), $( $name: some(self.$name), )* }
            }

            /// The place of the setting with a name, if there is one.
            fn named(&mut self, name: &str) -> Option<&mut Option<Text>> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Address to listen on. [default: 127.0.0.1:8005]
    listen,
    /// Folder of the key file and, by default, the database. [default: ./data]
    data,
    /// `sqlite:…` or `postgres://…`. [default: SQLite in the data folder]
    database_url,
    /// The first admin token. [default: generated and printed once]
    admin_token,
    /// The first gateway token. [default: generated and printed once]
    gateway_token,
    /// Whether keys can be read again after they were made: `always` or `once`. [default: always]
    reveal,
    /// What to log, like `info` or `app_auth_admin=debug`. [default: info]
    log,
    /// `text` or `json`. [default: text]
    log_format,
    /// `true` lets callers on this machine in without a token. [default: false]
    allow_loopback_without_token,
    /// Where browsers find the console, like `https://admin.example.com/console`; it answers at no other host then.
    /// [default: wherever it is reached]
    console_url,
    /// Minutes after which somebody who does nothing is signed out. [default: 30]
    console_session_idle,
    /// Minutes after which anybody is signed out. [default: 720]
    console_session_lifetime,
    /// OpenID provider at which people may sign in at the console, as it names itself. [default: none]
    console_oidc_issuer,
    /// Our client there.
    console_oidc_client_id,
    /// Its secret. [default: none, as of a public client]
    console_oidc_client_secret,
    /// What is asked for there. [default: openid profile email]
    console_oidc_scopes,
    /// The claim that gives roles: its name, a path with dots, or a JSON pointer. [default: roles]
    console_oidc_role_claim,
    /// Values of the claim that make a viewer, separated by commas. [default: none]
    console_oidc_viewers,
    /// Values of the claim that make an approver. [default: none]
    console_oidc_approvers,
    /// Values of the claim that make an admin. [default: none]
    console_oidc_admins,
    /// Most applications of one developer. [default: 500]
    applications_per_developer,
    /// Most credentials of one application or developer and kind. [default: 20]
    credentials_per_kind,
    /// Most connections of one application, at most 1000. [default: 1000]
    connections_per_application,
    /// `false` lets the applications of a revoked developer through until their connections are revoked, too.
    /// [default: true]
    revoke_developer_blocks_traffic,

    /// How developers prove who they are: `basic-auth` asks for a password when one is created, `key-auth` for a key.
    /// [default: neither]
    portal_auth,
    /// `true` approves new developers at once. [default: false]
    portal_auto_approve,
    /// What developers tell about themselves, as a JSON array of `{title, label, is_email, validator: {type, required}}`.
    /// [default: a required `full_name`]
    portal_developer_meta_fields,
    /// Where developers sign in; mails link to it. [default: http://localhost:8003]
    portal_gui_url,
    /// Where administrators approve; mails link to it. [default: console_url, or http://localhost:8005/console]
    admin_gui_url,
    /// Mail invitations. [default: true]
    portal_invite_email,
    /// Mail administrators when somebody asks for access. [default: true]
    portal_access_request_email,
    /// Mail developers when they are approved for the first time. [default: true]
    portal_approved_email,
    /// Mail developers when one of their connections changes its status. [default: false]
    portal_application_status_email,
    /// Mail administrators when an application asks for a service. [default: false]
    portal_application_request_email,
    /// Sender of mails, like `Portal <portal@example.com>`. [default: the first of the administrators]
    portal_emails_from,
    /// Where answers to mails go. [default: the sender]
    portal_emails_reply_to,
    /// Administrators of the portal, separated by commas. [default: smtp_admin_emails]
    portal_smtp_admin_emails,

    /// `true` only logs that a mail would have been sent. [default: true]
    smtp_mock,
    /// Mail server. [default: localhost]
    smtp_host,
    /// [default: 25; 587 with smtp_starttls, 465 with smtp_ssl]
    smtp_port,
    /// `true` encrypts after STARTTLS, and sends nothing without it. [default: false]
    smtp_starttls,
    /// `true` encrypts from the first byte. [default: false]
    smtp_ssl,
    /// PEM file of the authority that signed the mail server's certificate. [default: the system's]
    smtp_ca_file,
    /// Account at the mail server. [default: none]
    smtp_username,
    /// Its password.
    smtp_password,
    /// `plain` or `login`. [default: what the server offers]
    smtp_auth_type,
    /// The name we greet the mail server with, and that of message ids. [default: localhost.localdomain]
    smtp_domain,
    /// Milliseconds to connect. [default: 60000]
    smtp_timeout_connect,
    /// Milliseconds to send a command. [default: 60000]
    smtp_timeout_send,
    /// Milliseconds to wait for an answer. [default: 60000]
    smtp_timeout_read,
    /// Administrators, separated by commas. [default: none]
    smtp_admin_emails,
    /// Folder with templates that replace ours, like `invite.html`. [default: none]
    mail_templates,

    /// Admin API of a Kong whose consumers and plugins follow the developers here. [default: none]
    kong_admin_url,
    /// Token for it (`Kong-Admin-Token`). [default: none]
    kong_admin_token,
    /// Milliseconds a call to it may take. [default: 5000]
    kong_timeout,
    /// `true` puts the filter on Kong's services that serve product versions. [default: true]
    kong_attach_filter,
    /// How: `plugin` (Kong 3.9) or `filter-chain`. [default: as a plugin where Kong can do that]
    kong_attach_as,
    /// Where those filters find the admin extension, as Kong sees it. [default: listen]
    kong_filter_admin_address,

    /// `true` calls identity providers over plain http too, and those on this machine. [default: false]
    idp_allow_http,
    /// Milliseconds a call to an identity provider may take. [default: 10000]
    idp_timeout,
    /// Milliseconds between two questions to one issuer for its keys, at least. [default: 2000]
    idp_issuer_interval,
    /// PEM file of authorities that sign identity providers' certificates. [default: the system's alone]
    idp_ca_file,
    /// Where Azure gives tokens. [default: https://login.microsoftonline.com]
    idp_azure_login_url,
    /// Azure's Graph. [default: https://graph.microsoft.com]
    idp_azure_graph_url,
}

/// Why a file's settings cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownName(pub String);

impl Settings {
    /// From the text of a TOML file. `[table] key` and `table.key` name the setting `table_key`.
    pub(super) fn from_table(table: &toml::Table) -> Result<Self, UnknownName> {
        let mut settings = Self::default();
        for (name, value) in table {
            if let Some(place) = settings.named(name) {
                *place = Some(Text::from_toml(value));
                continue;
            }
            let toml::Value::Table(inner) = value else { return Err(UnknownName(name.clone())) };
            for (key, value) in inner {
                let full = format!("{name}_{key}");
                let place = settings.named(&full).ok_or_else(|| UnknownName(format!("{name}.{key}")))?;
                *place = Some(Text::from_toml(value));
            }
        }
        Ok(settings)
    }

    /// Names the environment variable of each flag: `APP_AUTH_` and the name in capitals.
    pub fn with_environment(command: clap::Command) -> clap::Command {
        command.mut_args(|arg| {
            let name = arg.get_id().as_str().to_owned();
            if Self::default().named(&name).is_none() && name != "config" {
                return arg;
            }
            let secret =
                ["token", "password", "secret", "database_url"].iter().any(|part| name.contains(part));
            arg.env(clap::builder::OsStr::from(format!("APP_AUTH_{}", name.to_uppercase())))
                .hide_env_values(secret)
        })
    }
}
