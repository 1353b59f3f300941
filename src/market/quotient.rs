//! One division of wide integers, made cheap where its operands are not wide after all.
//!
//! Products of prices and sizes need 128 bits, but what is divided on the way from an edge to its
//! order mostly fits into 64: a difference of prices, a part of a size. The machine divides those
//! itself; the wider division is a call into a library.
//!
//! Promises: the same answer as the wide division, for all operands. Refuses: to round otherwise.

/// `dividend / divisor`, rounded towards zero; `None` without a divisor, or out of range.
#[inline]
pub fn quotient(dividend: i128, divisor: i128) -> Option<i128> {
    match (i64::try_from(dividend), i64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) if divisor > 0 => Some(i128::from(dividend / divisor)),
        _ => dividend.checked_div(divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDS: [i128; 14] = [
        0,
        1,
        -1,
        i64::MAX as i128,
        i64::MIN as i128,
        i64::MAX as i128 + 1,
        i64::MIN as i128 - 1,
        u64::MAX as i128,
        10_000 << 16,
        -3,
        i128::MAX,
        i128::MIN,
        i128::MAX / 2,
        1 << 64,
    ];

    #[test]
    fn at_all_ends_of_both_widths() {
        for dividend in ENDS {
            for divisor in ENDS {
                let expected = dividend.checked_div(divisor);
                assert_eq!(
                    quotient(dividend, divisor),
                    expected,
                    "{dividend} / {divisor}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_wide_division(
            dividend in any::<i128>(),
            divisor in any::<i128>(),
            shifts in (0_u32..128, 0_u32..128),
        ) {
            let (dividend, divisor) = (dividend >> shifts.0, divisor >> shifts.1);
            prop_assert_eq!(quotient(dividend, divisor), dividend.checked_div(divisor));
        }
    }
}
