//! A JSON Web Key (RFC 7517) as an issuer publishes it, held against every rule before it may verify anything: the same
//! rules for the host's verification and the core's own. Knows no token.

use p256::pkcs8::EncodePublicKey as _;
use rsa::BoxedUint;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::{Malformed, compact};

/// What a key is, apart from what it may be used with.
pub(super) enum Material {
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point of the curve that the algorithm names.
    Ec {
        point: Vec<u8>,
    },
    Ed25519 {
        point: [u8; 32],
    },
}

/// A usable public key.
pub(super) struct PublicKey {
    pub kid: Option<String>,
    pub material: Material,
    /// `SubjectPublicKeyInfo` in DER.
    pub der: Vec<u8>,
    /// Not empty.
    pub algorithms: Vec<Algorithm>,
}

/// RFC 7518, sections 3.3 and 3.5, ask for 2048 bits; the upper bound is one on work.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const RSA_EXPONENT_BYTES: usize = 5;
/// Members that only private or symmetric keys have. An issuer that published one has lost the key.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl PublicKey {
    /// `listed`: what the issuer's metadata says that it signs with, which counts for RSA keys without `alg`.
    pub fn from_jwk(jwk: &Value, listed: &[String]) -> Result<Self, Malformed> {
        let jwk = jwk.as_object().ok_or(Malformed)?;
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) || !is_for_signatures(jwk)? {
            return Err(Malformed);
        }
        let kid = text(jwk, "kid")?.map(str::to_owned);
        let alg = match text(jwk, "alg")? {
            None => None,
            // One that is for something else, encryption say, admits no signature.
            Some(name) => Some(Algorithm::from_name(name).ok_or(Malformed)?),
        };
        let (material, der, admitted) = match text(jwk, "kty")?.ok_or(Malformed)? {
            "RSA" => rsa(jwk, if alg.is_some() { Algorithm::RSA.to_vec() } else { for_rsa(listed) })?,
            "EC" => elliptic(jwk)?,
            "OKP" => ed25519(jwk)?,
            _ => return Err(Malformed),
        };
        let algorithms = match alg {
            None => admitted,
            Some(alg) => admitted.into_iter().filter(|admitted| *admitted == alg).collect(),
        };
        if algorithms.is_empty() { Err(Malformed) } else { Ok(Self { kid, material, der, algorithms }) }
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Malformed> {
    jwk.get(name).map(|value| value.as_str().ok_or(Malformed)).transpose()
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Malformed> {
    compact::decode(text(jwk, name)?.ok_or(Malformed)?.as_bytes())
}

/// By `use` and `key_ops` (RFC 7517, sections 4.2 and 4.3), where they are given.
fn is_for_signatures(jwk: &Map<String, Value>) -> Result<bool, Malformed> {
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array().ok_or(Malformed)?.iter().any(|name| name == "verify"),
    };
    Ok(operations && text(jwk, "use")?.is_none_or(|purpose| purpose == "sig"))
}

/// What an RSA key without `alg` admits.
fn for_rsa(listed: &[String]) -> Vec<Algorithm> {
    if listed.is_empty() {
        return vec![Algorithm::Rs256];
    }
    let listed: Vec<_> = listed.iter().filter_map(|name| Algorithm::from_name(name)).collect();
    Algorithm::RSA.into_iter().filter(|algorithm| listed.contains(algorithm)).collect()
}

type Checked = (Material, Vec<u8>, Vec<Algorithm>);

fn rsa(jwk: &Map<String, Value>, admitted: Vec<Algorithm>) -> Result<Checked, Malformed> {
    let (modulus, exponent) = (unsigned(bytes(jwk, "n")?), unsigned(bytes(jwk, "e")?));
    if modulus.len() > RSA_BITS.end() / 8 || exponent.len() > RSA_EXPONENT_BYTES {
        return Err(Malformed);
    }
    let key = provider_key(&modulus, &exponent)?;
    let der = key.to_public_key_der().map_err(|_| Malformed)?.into_vec();
    Ok((Material::Rsa { modulus, exponent }, der, admitted))
}

/// The library's own checks and ours: the modulus odd and of bounded size, the exponent odd, at least 3 and small.
pub(super) fn provider_key(modulus: &[u8], exponent: &[u8]) -> Result<rsa::RsaPublicKey, Malformed> {
    let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    if !odd || exponent == [1] {
        return Err(Malformed);
    }
    let number = BoxedUint::from_be_slice_vartime;
    rsa::RsaPublicKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS)
        .map_err(|_| Malformed)
}

/// Some publishers keep the zero that marks a number as positive; it means nothing here.
fn unsigned(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

fn elliptic(jwk: &Map<String, Value>) -> Result<Checked, Malformed> {
    let (algorithm, size) = match text(jwk, "crv")?.ok_or(Malformed)? {
        "P-256" => (Algorithm::Es256, 32),
        "P-384" => (Algorithm::Es384, 48),
        "P-521" => (Algorithm::Es512, 66),
        _ => return Err(Malformed),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(Malformed);
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    // Reading a point checks that it is one of the curve.
    let der = match algorithm {
        Algorithm::Es256 => p256::PublicKey::from_sec1_bytes(&point).map(|key| key.to_public_key_der()),
        Algorithm::Es384 => p384::PublicKey::from_sec1_bytes(&point).map(|key| key.to_public_key_der()),
        _ => p521::PublicKey::from_sec1_bytes(&point).map(|key| key.to_public_key_der()),
    };
    let der = der.map_err(|_| Malformed)?.map_err(|_| Malformed)?.into_vec();
    Ok((Material::Ec { point }, der, vec![algorithm]))
}

fn ed25519(jwk: &Map<String, Value>) -> Result<Checked, Malformed> {
    if text(jwk, "crv")? != Some("Ed25519") {
        return Err(Malformed);
    }
    let point: [u8; 32] = bytes(jwk, "x")?.try_into().map_err(|_| Malformed)?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&point).map_err(|_| Malformed)?;
    // A point of small order verifies signatures that nobody made.
    if key.is_weak() {
        return Err(Malformed);
    }
    Ok((Material::Ed25519 { point }, point.to_vec(), Algorithm::ED25519.to_vec()))
}
