//! Tokens that nobody in his right mind would send, each made from a number, so that one that did harm can be made again.
//!
//! `APP_AUTH_FUZZ_SEED` is the first number, `APP_AUTH_FUZZ_COUNT` how many there are.

use std::sync::OnceLock;

use crate::random::Predictable;
use crate::{ALGORITHMS, base64url, raw, token};
use serde_json::json;

/// A token, and what may come of it.
#[derive(Debug)]
pub struct Case {
    pub token: Vec<u8>,
    /// What is signed of it is what a good key signed. If not, it must be refused.
    pub signed: bool,
}

/// Calls `check` with one number after the other: `count` of them, unless the environment says otherwise. A number on
/// which it panics is named.
pub fn each(count: u64, mut check: impl FnMut(u64)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("APP_AUTH_FUZZ_SEED").unwrap_or_default();
    let count = number("APP_AUTH_FUZZ_COUNT").unwrap_or(count);
    for seed in first..first.saturating_add(count) {
        let told = Told(seed);
        check(seed);
        std::mem::forget(told);
    }
}

/// Says which number it was when a check panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("to see it again: APP_AUTH_FUZZ_SEED={} APP_AUTH_FUZZ_COUNT=1", self.0);
    }
}

/// The case that a number stands for.
pub fn case(seed: u64) -> Case {
    let mut random = Predictable::new(seed);
    match random.below(10) {
        0 => unsigned((0..random.below(400)).map(|_| random.byte()).collect()),
        1 => unsigned((0..random.below(400)).map(|_| random.one_of(b"eyJhbGciOi.ZXN0-_..0A9=")).collect()),
        2..=4 => spoilt(&mut random),
        5 => crossed(&mut random),
        6 => {
            let header = json(&mut random, HEADER, 0);
            signed(header.as_bytes(), &payload(&mut random))
        }
        7 => signed(HEADERS[random.below(HEADERS.len())].as_bytes(), json(&mut random, CLAIMS, 0).as_bytes()),
        8 => {
            let mut payload = payload(&mut random);
            mutate(&mut random, &mut payload);
            signed(HEADERS[0].as_bytes(), &payload)
        }
        _ => {
            let piece =
                [&b"["[..], b"{\"a\":", b"\"", b"\\u0000", b"0", b"[],", b"{},", b"e9"][random.below(8)];
            let piece = piece.repeat(1 + random.below(12_000 / piece.len()));
            let whole =
                if random.below(2) == 0 { piece } else { [b"{\"exp\":", piece.as_slice(), b"}"].concat() };
            signed(HEADERS[0].as_bytes(), &whole)
        }
    }
}

const HEADERS: [&str; 3] = [
    r#"{"alg":"EdDSA","kid":"EdDSA"}"#,
    r#"{"alg":"EdDSA"}"#,
    r#"{"alg":"EdDSA","kid":"EdDSA","typ":"at+jwt"}"#,
];
const HEADER: &[&str] =
    &["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "cty", "zip", "\\u0061lg", ""];
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "scope",
    "typ",
    "nonce",
    "events",
    "realm",
    "at_hash",
    "s\\u0075b",
];

fn unsigned(token: Vec<u8>) -> Case {
    Case { token, signed: false }
}

fn signed(header: &[u8], payload: &[u8]) -> Case {
    Case { token: raw("EdDSA", header, payload).into_bytes(), signed: true }
}

fn payload(random: &mut Predictable) -> Vec<u8> {
    let claims = json!({ "iss": "https://issuer.example", "sub": "someone", "exp": random.below(1 << 31), "scope": "a b" });
    claims.to_string().into_bytes()
}

/// A good token of each kind.
fn good() -> &'static [String] {
    static GOOD: OnceLock<Vec<String>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let claims = json!({ "iss": "https://issuer.example", "sub": "someone", "exp": 4_102_444_800_u64 });
        ALGORITHMS.iter().map(|name| token(&json!({ "alg": name, "kid": name }), &claims)).collect()
    })
}

/// A good token with a few bytes changed.
fn spoilt(random: &mut Predictable) -> Case {
    let good = good()[random.below(good().len())].as_bytes();
    let mut token = good.to_vec();
    mutate(random, &mut token);
    let signed = |token: &[u8]| token.rsplitn(2, |byte| *byte == b'.').nth(1).map(<[u8]>::to_vec);
    let same = signed(&token) == signed(good);
    Case { token, signed: same }
}

/// Parts of several good tokens.
fn crossed(random: &mut Predictable) -> Case {
    let part = |random: &mut Predictable, which: usize| {
        let token = &good()[random.below(good().len())];
        token.split('.').nth(which).unwrap_or_default()
    };
    let parts: Vec<_> = (0..3).map(|which| part(random, which)).collect();
    // All have the same claims, so header and signature of one token make that token.
    Case { token: parts.join(".").into_bytes(), signed: true }
}

fn mutate(random: &mut Predictable, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(40)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.byte(),
            2 => bytes.insert(at, random.one_of(b".=AZaz09-_+/ \"{}[],:\\\0\xff")),
            3 => drop(bytes.drain(at..to)),
            4 => bytes.extend_from_within(at..to),
            5 => bytes.truncate(at),
            _ => {
                let copy = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, copy));
            }
        }
    }
}

/// An object of these names, some of them twice, with values that fit and values that do not.
fn json(random: &mut Predictable, names: &[&str], depth: usize) -> String {
    let member = |random: &mut Predictable| {
        let name = names[random.below(names.len())];
        let value = match random.below(12) {
            0..=2 => ["\"EdDSA\"", "\"JWT\"", "\"at+jwt\"", "\"none\"", "\"ID\""][random.below(5)].to_owned(),
            3 => random.below(usize::MAX).to_string(),
            4 => format!("{}e{}", random.below(1000), random.below(400)),
            5 => format!("-{}.{}", random.below(1 << 20), random.below(1 << 20)),
            6 => ["null", "true", "false", "\"\"", "[]", "{}", "\"\\ud800\""][random.below(7)].to_owned(),
            7 => format!("\"{}\"", base64url(random.below(usize::MAX).to_le_bytes())),
            8 => format!("[{}]", vec!["\"x\""; random.below(5)].join(",")),
            9 | 10 if depth < 70 => json(random, names, depth + 1),
            _ => format!("[{}", random.below(9)),
        };
        format!("\"{name}\":{value}")
    };
    let mut members: Vec<_> = (0..random.below(6)).map(|_| member(random)).collect();
    // Mostly what is needed to get beyond the first look.
    if depth == 0 && random.below(3) > 0 {
        let needed = if names == HEADER { r#""alg":"EdDSA""# } else { r#""iss":"https://issuer.example""# };
        members.insert(0, needed.to_owned());
    }
    format!("{{{}}}", members.join(","))
}
