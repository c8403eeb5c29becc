//! What a verified token says, as far as a strategy cares, and whether that is enough. Facts are taken from a token once;
//! whether they suffice is asked on every request.

use crate::digest::KeyDigest;
use crate::ids::{StoreId, StrategyId};
use crate::record::OpenIdConnectConfig;
use crate::refusal::Lacking;
use crate::token::Claims;

/// Longest claim that names an application, in bytes.
const NAME_MAX: usize = 512;
/// Most words of a claim that are kept, and the longest of them.
const WORDS_MAX: usize = 256;
const WORD_MAX: usize = 1024;
/// How far in the future a token may have been issued whatever the leeway, in milliseconds: clocks differ, and nothing
/// is gained by refusing what its issuer holds for valid.
const ISSUED_AHEAD_MAX: i64 = 60_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Milliseconds since the Unix epoch, as the two below. `None`: the issuer vouches for the token as long as it says so.
    expires_at: Option<i64>,
    not_before: Option<i64>,
    issued_at: Option<i64>,
    /// The application, as the issuer calls it.
    pub client: Option<Client>,
    /// Where the record of the application with this `custom_id` is.
    pub consumer: Option<KeyDigest>,
    scopes: Vec<String>,
    audience: Vec<String>,
    groups: Vec<String>,
    roles: Vec<String>,
}

/// An application, as an issuer calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub id: String,
    /// Where its record is.
    pub digest: KeyDigest,
}

/// How a token came to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// By its signature: it must say itself until when it holds, and by whom it is.
    BySignature,
    /// By its issuer, who was asked.
    ByIssuer,
}

/// A token that is none, whatever its claims say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable;

/// Why facts do not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// The token does not hold now.
    Token,
    /// It did, and does no longer.
    Expired,
    /// It does, but it does not say what is required.
    Lacks(Lacking),
}

impl Facts {
    /// Takes the facts from a token. `issuer` is the issuer's own name.
    pub fn of(
        claims: &Claims,
        vouched: Vouched,
        config: &OpenIdConnectConfig,
        issuer: &str,
        (store, strategy): (&StoreId, StrategyId),
    ) -> Result<Self, Unusable> {
        let name = |text: &str| vec![text.to_owned()];
        let known = claims.issuer().is_some_and(|by| is_issuer(config, issuer, by));
        let unnamed = vouched == Vouched::ByIssuer && claims.at(&name("iss")).is_none();
        if !known && !unnamed {
            return Err(Unusable);
        }
        let time = |name| claims.time(name).map_err(|_| Unusable);
        let expires_at = time("exp")?;
        if expires_at.is_none() && vouched == Vouched::BySignature {
            return Err(Unusable);
        }
        if config.claims_forbidden.iter().any(|forbidden| claims.at(&name(forbidden)).is_some()) {
            return Err(Unusable);
        }
        let named = |path: &[String]| {
            let value = (!path.is_empty()).then(|| claims.text(path)).flatten()?;
            ((1..=NAME_MAX).contains(&value.len()) && !value.chars().any(char::is_control))
                .then(|| value.into_owned())
        };
        Ok(Self {
            expires_at,
            not_before: time("nbf")?,
            issued_at: time("iat")?,
            client: named(&config.credential_claim).map(|id| {
                let digest = KeyDigest::of_client_id(store, strategy, id.as_bytes());
                Client { id, digest }
            }),
            consumer: named(&config.consumer_claim)
                .filter(|_| config.consumer_by.iter().any(|by| by == "custom_id"))
                .map(|custom_id| KeyDigest::of_custom_id(store, custom_id.as_bytes())),
            scopes: words(claims, &config.scopes_claim, &config.scopes_required),
            audience: words(claims, &config.audience_claim, &config.audience_required),
            groups: words(claims, &config.groups_claim, &config.groups_required),
            roles: words(claims, &config.roles_claim, &config.roles_required),
        })
    }

    /// Whether the token holds at an instant (milliseconds since the Unix epoch) and says what is required.
    pub fn check(&self, config: &OpenIdConnectConfig, now: u64) -> Result<(), Unmet> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let milliseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let leeway = milliseconds(config.leeway);
        let expired = self.expires_at.is_some_and(|at| now >= at.saturating_add(leeway));
        let early = self.not_before.is_some_and(|at| now.saturating_add(leeway) < at);
        let ahead = self.issued_at.is_some_and(|at| now.saturating_add(leeway.max(ISSUED_AHEAD_MAX)) < at);
        let aged = config.maximum_age.is_some_and(|age| {
            let until = |at: i64| at.saturating_add(milliseconds(age)).saturating_add(leeway);
            self.issued_at.is_none_or(|at| now > until(at))
        });
        if early || ahead {
            return Err(Unmet::Token);
        }
        if expired || aged {
            return Err(Unmet::Expired);
        }
        for (required, has, lacking) in [
            (&config.audience_required, &self.audience, Lacking::Audience),
            (&config.scopes_required, &self.scopes, Lacking::Scope),
            (&config.groups_required, &self.groups, Lacking::Group),
            (&config.roles_required, &self.roles, Lacking::Role),
        ] {
            if !meets(required, has) {
                return Err(Unmet::Lacks(lacking));
            }
        }
        Ok(())
    }

    /// How much is left of the token at an instant, in milliseconds; `None`: it does not say.
    pub fn left(&self, now: u64) -> Option<u64> {
        let until = u64::try_from(self.expires_at?).unwrap_or(0);
        Some(until.saturating_sub(now))
    }

    /// Bytes of memory, roughly.
    pub fn weight(&self) -> usize {
        let lists = [&self.scopes, &self.audience, &self.groups, &self.roles];
        let words: usize = lists.iter().flat_map(|list| list.iter()).map(|word| word.len() + 32).sum();
        size_of::<Self>() + words + self.client.as_ref().map_or(0, |client| client.id.len())
    }
}

/// Whether a token may come from this issuer. Compared exactly (RFC 8725, 3.8).
pub fn is_issuer(config: &OpenIdConnectConfig, issuer: &str, named: &str) -> bool {
    if config.issuers_allowed.is_empty() {
        return named == issuer;
    }
    config.issuers_allowed.iter().any(|allowed| allowed == named)
}

/// One of the requirements must hold, each all of its words.
fn meets(required: &[String], has: &[String]) -> bool {
    let holds = |requirement: &String| {
        let mut words = requirement.split_ascii_whitespace().peekable();
        words.peek().is_some() && words.all(|word| has.iter().any(|known| known == word))
    };
    required.is_empty() || required.iter().any(holds)
}

/// The words of a claim; none where nobody asks for any.
fn words(claims: &Claims, path: &[String], required: &[String]) -> Vec<String> {
    if required.is_empty() {
        return Vec::new();
    }
    let mut words = claims.words(path);
    words.retain(|word| word.len() <= WORD_MAX);
    words.truncate(WORDS_MAX);
    words
}
