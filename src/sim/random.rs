//! Seeded randomness for the simulated venues: small, fast, the same on every machine.
//!
//! Promises: equal seeds give equal draws. Refuses: anything secret; this is no key material.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts a sequence. `purpose` keeps sequences of one seed apart.
    pub fn new(seed: u64, purpose: &str) -> Random {
        // FNV-1a spreads the purpose over the state; any fixed mixing would do.
        let mut state = seed ^ 0xCBF2_9CE4_8422_2325;
        for byte in purpose.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Random { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `low..high`; `low` when the range is empty.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low).max(0.0) * self.fraction()
    }

    /// Uniform in `low..=high`; `low` when `high` is smaller.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low);
        match span.checked_add(1) {
            Some(count) => low + self.next_u64() % count,
            None => self.next_u64(),
        }
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_agree_and_purposes_differ() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            (0..8).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "plant"), draw(7, "plant"));
        assert_ne!(draw(7, "plant"), draw(7, "delay"));
        assert_ne!(draw(7, "plant"), draw(8, "plant"));
    }

    #[test]
    fn draws_stay_in_range_with_the_right_mean() {
        let mut random = Random::new(1, "test");
        let (mut sum, mut waits) = (0.0, 0.0);
        for _ in 0..20_000 {
            let value = random.uniform(12.0, 18.0);
            assert!((12.0..18.0).contains(&value));
            assert!((350..=370).contains(&random.between(350, 370)));
            sum += value;
            waits += random.exponential(700.0);
        }
        assert!((sum / 20_000.0 - 15.0).abs() < 0.1);
        assert!((waits / 20_000.0 - 700.0).abs() < 20.0);
        assert_eq!(random.between(5, 3), 5);
    }
}
