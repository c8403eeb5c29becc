//! Service and issuer records as bytes. Workers decode them once and keep the result until the policy revision moves, so
//! the form is made for being small and strict, not for being read in place.

use serde::Serialize;

use crate::ids::{ServiceId, StrategyId};
use crate::record::{IssuerRecord, KeyAuthConfig, ServiceRecord, Strategy, StrategyConfig};
use crate::state::bucket::TooLarge;

const KEY_AUTH: u8 = 1;
const OPENID_CONNECT: u8 = 2;
const OAUTH2: u8 = 3;

const OPEN: u8 = 1;

const KEY_IN_HEADER: u8 = 1;
const KEY_IN_QUERY: u8 = 1 << 1;
const KEY_IN_BODY: u8 = 1 << 2;
const HIDE_CREDENTIALS: u8 = 1 << 3;
const RUN_ON_PREFLIGHT: u8 = 1 << 4;
const HAS_REALM: u8 = 1 << 5;

pub(super) fn encode(record: &ServiceRecord) -> Result<Vec<u8>, TooLarge> {
    let mut out = record.service.as_bytes().to_vec();
    out.push(if record.open { OPEN } else { 0 });
    out.push(u8::try_from(record.strategies.len()).map_err(|_| TooLarge)?);
    for strategy in &record.strategies {
        out.extend_from_slice(strategy.id.as_bytes());
        match &strategy.config {
            StrategyConfig::KeyAuth(config) => encode_key_auth(&mut out, config)?,
            StrategyConfig::OpenIdConnect(config) => {
                out.push(OPENID_CONNECT);
                put_json(&mut out, config)?;
            }
            StrategyConfig::OAuth2(config) => {
                out.push(OAUTH2);
                put_json(&mut out, config)?;
            }
        }
    }
    Ok(out)
}

fn encode_key_auth(out: &mut Vec<u8>, config: &KeyAuthConfig) -> Result<(), TooLarge> {
    out.push(KEY_AUTH);
    let switches = [
        (config.key_in_header, KEY_IN_HEADER),
        (config.key_in_query, KEY_IN_QUERY),
        (config.key_in_body, KEY_IN_BODY),
        (config.hide_credentials, HIDE_CREDENTIALS),
        (config.run_on_preflight, RUN_ON_PREFLIGHT),
        (config.realm.is_some(), HAS_REALM),
    ];
    out.push(switches.iter().filter(|(on, _)| *on).fold(0, |flags, (_, bit)| flags | bit));
    put_text(out, config.realm.as_deref().unwrap_or_default())?;
    out.push(u8::try_from(config.key_names.len()).map_err(|_| TooLarge)?);
    config.key_names.iter().try_for_each(|name| put_text(out, name))
}

fn put_json(out: &mut Vec<u8>, config: &impl Serialize) -> Result<(), TooLarge> {
    put_text(out, &serde_json::to_string(config).map_err(|_| TooLarge)?)
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), TooLarge> {
    out.extend_from_slice(&u16::try_from(text.len()).map_err(|_| TooLarge)?.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Decodes a service record; `None` if it does not add up or names a strategy this version does not know, which the
/// caller must treat as "cannot decide".
pub fn decode(payload: &[u8]) -> Option<ServiceRecord> {
    let mut reader = Reader(payload);
    let service = ServiceId::from_bytes(reader.array()?);
    let open = match reader.byte()? {
        0 => false,
        OPEN => true,
        _ => return None,
    };
    let count = reader.byte()?;
    let mut strategies = Vec::new();
    for _ in 0..count {
        let id = StrategyId::from_bytes(reader.array()?);
        let config = match reader.byte()? {
            KEY_AUTH => StrategyConfig::KeyAuth(decode_key_auth(&mut reader)?),
            OPENID_CONNECT => StrategyConfig::OpenIdConnect(serde_json::from_str(&reader.text()?).ok()?),
            OAUTH2 => StrategyConfig::OAuth2(serde_json::from_str(&reader.text()?).ok()?),
            _ => return None,
        };
        strategies.push(Strategy { id, config });
    }
    reader.0.is_empty().then_some(ServiceRecord { service, strategies, open })
}

pub(super) fn encode_issuer(record: &IssuerRecord) -> Result<Vec<u8>, TooLarge> {
    serde_json::to_vec(record).map_err(|_| TooLarge)
}

/// Decodes an issuer record; `None` if it does not add up.
pub fn decode_issuer(payload: &[u8]) -> Option<IssuerRecord> {
    serde_json::from_slice(payload).ok()
}

fn decode_key_auth(reader: &mut Reader<'_>) -> Option<KeyAuthConfig> {
    let flags = reader.byte()?;
    let realm = reader.text()?;
    let count = reader.byte()?;
    let mut key_names = Vec::new();
    for _ in 0..count {
        key_names.push(reader.text()?);
    }
    Some(KeyAuthConfig {
        key_names,
        key_in_header: flags & KEY_IN_HEADER != 0,
        key_in_query: flags & KEY_IN_QUERY != 0,
        key_in_body: flags & KEY_IN_BODY != 0,
        hide_credentials: flags & HIDE_CREDENTIALS != 0,
        run_on_preflight: flags & RUN_ON_PREFLIGHT != 0,
        realm: (flags & HAS_REALM != 0).then_some(realm),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.array()?);
        let bytes = self.take(usize::from(length))?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}
