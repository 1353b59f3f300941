//! Keys of nobody, for runs on paper: the same signatures are made, and no account knows them.

use crate::keys::SecretBytes;

/// A key from the system's randomness; `None` when the system gives none. Its first and last bytes
/// are zero, which keeps it below the order of either venue's curve in either byte order (a Stark
/// key of 32 bytes, big-endian, has 252 bits; Lighter's of 40 bytes, little-endian, has 319).
pub fn throwaway<const N: usize>() -> Option<SecretBytes<N>> {
    let mut bytes = [0; N];
    getrandom::fill(bytes.get_mut(1..N - 1)?).ok()?;
    Some(SecretBytes::take(&mut bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{lighter_key, stark_key};

    #[test]
    fn both_venues_take_them_and_no_two_are_alike() {
        let stark = [(); 2].map(|()| throwaway::<32>().unwrap().to_hex());
        let lighter = [(); 2].map(|()| throwaway::<40>().unwrap().to_hex());
        for (one, two) in [(&stark[0], &stark[1]), (&lighter[0], &lighter[1])] {
            assert_ne!(one.expose(), two.expose());
        }
        assert!(stark.iter().all(|key| stark_key(key.expose()).is_ok()));
        assert!(lighter.iter().all(|key| lighter_key(key.expose()).is_ok()));
    }
}
