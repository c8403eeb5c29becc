//! Who asks for a token: what a request presents of a client, and whether it is that client.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq as _;

use super::parameters::Parameters;
use super::refusal::Refusal;
use crate::model::{ClientType, PlainSecret};
use crate::secrets::verify_client_secret;
use crate::store::{KeptSecret, OAuth2Client, Result, Store};

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request presents of a client.
pub struct Presented {
    pub id: Option<PlainSecret>,
    pub secret: Option<PlainSecret>,
    /// It stands in the header for it, and not among the parameters.
    pub in_header: bool,
}

impl Presented {
    /// Both among the parameters come first, then the header, then an id alone.
    pub fn by(parameters: &Parameters, header: Option<&str>) -> Self {
        let parameter = |name| parameters.text(name).map(PlainSecret::new);
        if parameters.given("client_id") && parameters.given("client_secret") {
            return Self { id: parameter("client_id"), secret: parameter("client_secret"), in_header: false };
        }
        match header {
            Some(header) => {
                let (id, secret) = basic(header).unzip();
                Self { id, secret, in_header: true }
            }
            None => Self { id: parameter("client_id"), secret: None, in_header: false },
        }
    }
}

/// RFC 7617. An id has no colon.
fn basic(header: &str) -> Option<(PlainSecret, PlainSecret)> {
    let (scheme, encoded) = header.trim().split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(BASE64.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((PlainSecret::new(id), PlainSecret::new(secret)))
}

/// Whether who presents this is that client. Who is not takes as long to refuse whether the client exists or not.
pub async fn authenticate(
    store: &Store,
    client: Option<&OAuth2Client>,
    presented: &Presented,
) -> Result<Result<(), Refusal>> {
    let nothing = PlainSecret::new("");
    let secret = presented.secret.as_ref().unwrap_or(&nothing);
    let authentic = match client.map(|client| (client, client.client_type, &client.secret)) {
        Some((_, ClientType::Public, _)) => {
            return Ok(if secret.expose().trim().is_empty() {
                Ok(())
            } else {
                Err(Refusal::invalid_request("client_secret is disallowed for public clients"))
            });
        }
        Some((client, ClientType::Confidential, KeptSecret::Plain { secret: kept, to_be_hashed })) => {
            let same = same(secret, kept);
            if same && *to_be_hashed {
                store.hash_kept_secret(client.id, secret).await?;
            }
            same || verify_client_secret(secret, None).await
        }
        Some((_, ClientType::Confidential, KeptSecret::Hash(hash))) => {
            verify_client_secret(secret, Some(hash)).await
        }
        None if presented.id.is_none() => false,
        None => verify_client_secret(secret, None).await,
    };
    Ok(if authentic { Ok(()) } else { Err(Refusal::invalid_client(presented.in_header)) })
}

/// In time that does not depend on where they differ, or on how long they are.
fn same(one: &PlainSecret, other: &PlainSecret) -> bool {
    let digest = |secret: &PlainSecret| *blake3::hash(secret.expose().as_bytes()).as_bytes();
    digest(one).ct_eq(&digest(other)).into()
}
