//! The families of developers' credentials: what each consists of, and what its members must be.

use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{RefOr, Schema as Described};
use utoipa::{PartialSchema, ToSchema};

use crate::api::legacy::conventions::problems::Problems;
use crate::api::legacy::conventions::{Error, Field, Kind, Schema, texts};
use crate::api::legacy::expiry::TTL_MAX;
use crate::model::{DeveloperCredential, PlainSecret, PluginKind, rules};

/// Longest public key, in bytes of PEM.
const PUBLIC_KEY_MAX: usize = 16 * 1024;

/// A family's own members and those that every credential has.
macro_rules! family {
    ($($field:expr),* $(,)?) => {
        Schema {
            fields: &[
                $($field,)*
                Field::new("id", Kind::Uuid).immutable(),
                Field::new("ttl", Kind::Integer { min: 0, max: TTL_MAX }),
                Field::tags(),
                Field::read_only("consumer"),
                Field::read_only("created_at"),
                Field::read_only("expires_at"),
            ],
        }
    };
}

const LINE: Kind = Kind::checked_text(rules::NAME_MAX, texts::line);
const SECRET: Kind = Kind::checked_text(PlainSecret::MAX, texts::line);
const KEY: Kind = Kind::checked_text(PlainSecret::MAX, texts::key);

static BASIC_AUTH: Schema =
    family![Field::new("username", LINE).required(), Field::new("password", SECRET).required()];
static HMAC_AUTH: Schema =
    family![Field::new("username", LINE).required(), Field::new("secret", SECRET).lasting()];
static KEY_AUTH: Schema = family![Field::new("key", KEY).lasting()];
static OPENID_CONNECT: Schema = family![
    Field::new("issuer", Kind::checked_text(rules::URI_MAX, texts::http_url)).required(),
    Field::new("subject", LINE).required(),
];
static JWT: Schema = family![
    Field::new("key", KEY).lasting(),
    Field::new("secret", SECRET).lasting(),
    Field::new("rsa_public_key", Kind::text(PUBLIC_KEY_MAX)),
    Field::new("algorithm", Kind::OneOf(ALGORITHMS)).required().default("\"HS256\""),
];
static OAUTH2: Schema = family![
    Field::new("name", LINE).required(),
    Field::new("client_id", KEY).lasting(),
    Field::new("client_secret", SECRET).lasting(),
    Field::new("client_type", Kind::OneOf(&["confidential", "public"]))
        .required()
        .default("\"confidential\""),
    Field::new(
        "redirect_uris",
        Kind::List {
            of: &Kind::checked_text(rules::URI_MAX, texts::redirect_uri),
            min: 0,
            max: rules::LIST_MAX,
        },
    ),
    Field::new("hash_secret", Kind::Boolean).required().default("false"),
];

const ALGORITHMS: &[&str] = &[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384",
    "PS512", "EdDSA",
];

/// What the members of a family must be.
pub fn schema(kind: PluginKind) -> &'static Schema {
    match kind {
        PluginKind::BasicAuth => &BASIC_AUTH,
        PluginKind::OAuth2 => &OAUTH2,
        PluginKind::HmacAuth => &HMAC_AUTH,
        PluginKind::Jwt => &JWT,
        PluginKind::KeyAuth => &KEY_AUTH,
        PluginKind::OpenidConnect => &OPENID_CONNECT,
    }
}

/// The rules that look at several members at once. `members` are those the credential will have.
pub fn check(kind: PluginKind, members: &Map<String, Value>) -> Result<(), Error> {
    if kind != PluginKind::Jwt {
        return Ok(());
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let algorithm = text("algorithm").unwrap_or("HS256");
    match text("rsa_public_key") {
        Some(pem) if is_public_key(algorithm, pem) => Ok(()),
        Some(_) => Err(Error::violation("rsa_public_key", "invalid key")),
        None if ["RS", "PS", "Ed"].iter().any(|family| algorithm.starts_with(family)) => {
            let condition = "failed conditional validation given value of field 'algorithm'";
            Err(Error::Schema(
                Problems::entity(condition).and(Problems::member("rsa_public_key", "required field missing")),
            ))
        }
        None => Ok(()),
    }
}

/// Whether a PEM text is a public key that the algorithm can use; with a shared-secret algorithm, any public key.
fn is_public_key(algorithm: &str, pem: &str) -> bool {
    let pem_bytes = pem.as_bytes();
    let rsa = || DecodingKey::from_rsa_pem(pem_bytes).is_ok();
    let elliptic = || DecodingKey::from_ec_pem(pem_bytes).is_ok();
    let edwards = || DecodingKey::from_ed_pem(pem_bytes).is_ok();
    let fits = match algorithm.get(..2) {
        Some("RS" | "PS") => rsa(),
        Some("ES") => elliptic(),
        Some("Ed") => edwards(),
        _ => rsa() || elliptic() || edwards(),
    };
    fits && !pem.contains("PRIVATE KEY")
}

/// `basic-auth`: a name and a password.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct BasicAuth {
    username: String,
    /// In answers: the hash. Absent where the server shows secrets only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// `hmac-auth`: a name and a shared secret.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct HmacAuth {
    username: String,
    /// Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// `key-auth`: an API key.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct KeyAuth {
    /// Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// `openid-connect`: who the developer is at an `OpenID` provider.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct OpenidConnect {
    /// `iss` of the developer's tokens.
    issuer: String,
    /// `sub` of the developer's tokens.
    subject: String,
}

/// `jwt`: whose tokens the developer signs.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Jwt {
    /// One of the algorithms of RFC 7518 and RFC 8037.
    algorithm: String,
    /// The claim that names the credential, `iss` by default.
    key: String,
    /// PEM; required with RS*, PS* and `EdDSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rsa_public_key: Option<String>,
    /// Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// `oauth2`: a client.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct OAuth2 {
    /// Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The secret, or its hash with `hash_secret`. Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// `confidential` or `public`.
    client_type: String,
    hash_secret: bool,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uris: Option<Vec<String>>,
}

/// The members of one family.
#[derive(Serialize)]
#[serde(untagged)]
pub enum FamilyBody {
    BasicAuth(BasicAuth),
    OAuth2(OAuth2),
    HmacAuth(HmacAuth),
    Jwt(Jwt),
    KeyAuth(KeyAuth),
    OpenidConnect(OpenidConnect),
}

impl FamilyBody {
    /// `None` if what is stored does not fit its family, which no schema lets in.
    pub fn new(credential: &DeveloperCredential) -> Option<Self> {
        let members = Value::Object(credential.members.exposed());
        match credential.kind {
            PluginKind::BasicAuth => serde_json::from_value(members).map(Self::BasicAuth).ok(),
            PluginKind::OAuth2 => serde_json::from_value(members).map(Self::OAuth2).ok(),
            PluginKind::HmacAuth => serde_json::from_value(members).map(Self::HmacAuth).ok(),
            PluginKind::Jwt => serde_json::from_value(members).map(Self::Jwt).ok(),
            PluginKind::KeyAuth => serde_json::from_value(members).map(Self::KeyAuth).ok(),
            PluginKind::OpenidConnect => serde_json::from_value(members).map(Self::OpenidConnect).ok(),
        }
    }
}

impl PartialSchema for FamilyBody {
    fn schema() -> RefOr<Described> {
        let any = AnyOfBuilder::new()
            .item(BasicAuth::schema())
            .item(OAuth2::schema())
            .item(HmacAuth::schema())
            .item(Jwt::schema())
            .item(KeyAuth::schema())
            .item(OpenidConnect::schema());
        RefOr::T(Described::AnyOf(any.build()))
    }
}

impl ToSchema for FamilyBody {}
