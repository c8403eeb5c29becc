//! Which scopes a token gets: what is asked for, as far as the service has it and, for a refreshed token, as far as it was
//! granted before.

use super::parameters::Parameters;
use super::refusal::Refusal;
use crate::model::OAuth2Settings;

/// The scope of a new token. Where the service has none, none is ever given.
pub fn asked(parameters: &Parameters, settings: &OAuth2Settings) -> Result<Option<String>, Refusal> {
    let scope = text(parameters)?;
    let Some(scope) = scope.filter(|scope| !scope.trim().is_empty()) else {
        return if settings.mandatory_scope {
            Err(Refusal::invalid_scope("You must specify a scope"))
        } else {
            Ok(None)
        };
    };
    if settings.scopes.is_empty() {
        return Ok(None);
    }
    let words = words(scope);
    match words.iter().find(|word| !settings.scopes.iter().any(|known| known == *word)) {
        Some(unknown) => Err(Refusal::invalid_scope(format!("\"{unknown}\" is an invalid scope"))),
        None => Ok(Some(words.join(" "))),
    }
}

/// The scope of a token that was refreshed: all that was granted, or the part of it that is asked for. What the service has
/// no longer is not given again.
pub fn refreshed(
    parameters: &Parameters,
    settings: &OAuth2Settings,
    granted: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let granted = words(granted.unwrap_or_default());
    let wanted = match text(parameters)?.map(words) {
        Some(wanted) if !wanted.is_empty() => wanted,
        _ => granted.clone(),
    };
    if !wanted.iter().all(|word| granted.contains(word)) {
        return Err(Refusal::invalid_scope("Scope mismatch"));
    }
    let kept: Vec<_> =
        wanted.into_iter().filter(|word| settings.scopes.iter().any(|known| known == word)).collect();
    Ok((!kept.is_empty()).then(|| kept.join(" ")))
}

fn text(parameters: &Parameters) -> Result<Option<&str>, Refusal> {
    match parameters.text("scope") {
        None if parameters.given("scope") => Err(Refusal::invalid_scope("scope must be a string")),
        text => Ok(text),
    }
}

/// Each once: an unbounded list of known words would not fit a token's record.
fn words(scope: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in scope.split_whitespace() {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}
