//! Any bytes whatever: never a panic, never two verdicts, and nothing let through that no key signed.

use app_auth_core::token::is_jws;
use app_auth_test_tokens::fuzz;

use crate::support::verdict;

#[test]
fn given_any_bytes_as_a_token_when_they_are_verified_then_only_what_a_key_signed_gets_through() {
    let mut let_through = 0_u64;
    let mut seen = 0_u64;
    fuzz::each(6000, |seed| {
        let case = fuzz::case(seed);
        let verdict = verdict(&case.token);
        seen += 1;
        let Ok(verified) = verdict else { return };
        let_through += 1;
        assert!(case.signed, "let through: {}", String::from_utf8_lossy(&case.token));
        assert!(is_jws(&case.token));
        // Whatever was let through can be read.
        for name in ["exp", "nbf", "iat", "scope", "sub", "realm", "typ", "aud"] {
            let path = [name.to_owned(), "sub".to_owned()];
            let _ = verified.claims.time(name);
            for path in [&path[..1], &path] {
                let _ = (verified.claims.text(path), verified.claims.words(path));
            }
        }
    });
    if seen >= 1000 {
        assert!(let_through > seen / 50, "hardly any was good: {let_through} of {seen}");
        assert!(let_through < seen / 2, "hardly any was bad: {let_through} of {seen}");
    }
}
