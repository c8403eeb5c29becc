//! How long to wait before Kong is tried again: twice as long each time, and never for two at once the same.

use std::time::Duration;

use crate::model::{Entropy, OsEntropy};

const FIRST_MS: u64 = 500;
const LONGEST_MS: u64 = 120_000;

/// The wait after so many attempts in a row, give or take a quarter.
pub fn wait(attempts: u32) -> Duration {
    let whole = FIRST_MS.saturating_mul(1 << attempts.min(16)).min(LONGEST_MS);
    let mut random = [0];
    // Without randomness, all wait alike.
    let _ = OsEntropy.fill(&mut random);
    Duration::from_millis(jittered(whole, random[0]))
}

/// Between three and five quarters.
fn jittered(whole: u64, random: u8) -> u64 {
    whole * 3 / 4 + whole * u64::from(random) / 510
}

/// As milliseconds for times in the database.
pub fn wait_ms(attempts: u32) -> i64 {
    i64::try_from(wait(attempts).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_a_quarter_of_two_minutes() {
        assert_eq!((jittered(1000, 0), jittered(1000, 255)), (750, 1250));
        let mut longest = 0;
        for attempts in 0..40 {
            let whole = (500 * 2_u128.pow(attempts.min(16))).min(120_000);
            let wait = wait(attempts).as_millis();
            assert!((whole * 3 / 4..=whole * 5 / 4).contains(&wait), "{attempts}: {wait}");
            longest = longest.max(wait);
        }
        assert!(longest >= 90_000);
    }
}
