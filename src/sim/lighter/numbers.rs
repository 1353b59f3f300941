//! Numbers as Lighter writes them: decimal strings with a market's own number of places, USDC with
//! six, integers at the market's scale.

use crate::market::units::Notional;
use crate::sim::decimal::push_fixed;

/// A value at 10^-9 with exactly `places` digits after the point, rounded half away from zero:
/// 1.5 with 4 places is `1.5000`.
pub fn fixed(value: i64, places: u32) -> String {
    let mut text = String::new();
    push_fixed(&mut text, value, places);
    text
}

/// USDC as the venue writes it, six places.
pub fn usdc(value: Notional) -> String {
    fixed_wide(value.0, 18, 6)
}

fn fixed_wide(value: i128, digits: u32, places: u32) -> String {
    let unit = 10_u128.pow(digits - places.min(digits));
    let units = (value.unsigned_abs() + unit / 2) / unit;
    let sign = if value < 0 { "-" } else { "" };
    let scale = 10_u128.pow(places);
    let (whole, fraction) = (units / scale, units % scale);
    if places == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{fraction:0width$}", width = places as usize)
}

/// A ratio of two amounts in per cent, two places; zero where the whole is not positive.
pub fn per_cent(part: Notional, whole: Notional) -> String {
    if whole.0 <= 0 {
        return "0.00".into();
    }
    // Nano-dollars leave ample room for the multiplication.
    let nano = |amount: Notional| i128::from(amount.to_nano());
    let hundredths = nano(part) * 10_000 / nano(whole).max(1);
    fixed_wide(hundredths, 2, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Price, Size};

    #[test]
    fn decimals_have_the_markets_places() {
        for (text, places, want) in [
            ("1.5", 4, "1.5000"),
            ("84050", 1, "84050.0"),
            ("0", 5, "0.00000"),
            ("0.00001", 5, "0.00001"),
            ("12", 0, "12"),
            ("2.25", 1, "2.3"),
            ("-2.25", 1, "-2.3"),
        ] {
            let value = Price::parse(text.as_bytes()).unwrap().0;
            assert_eq!(fixed(value, places), want);
        }
    }

    #[test]
    fn usdc_has_six_places() {
        let price = Price::parse(b"0.20382").unwrap();
        let size = Size::parse(b"0.7").unwrap();
        // The amount of a captured trade.
        assert_eq!(usdc(price * size), "0.142674");
        assert_eq!(usdc(-Notional::from_usd(3)), "-3.000000");
    }

    #[test]
    fn ratios_in_per_cent() {
        let part = Notional::from_usd(1);
        assert_eq!(per_cent(part, Notional::from_usd(8)), "12.50");
        assert_eq!(per_cent(part, Notional::ZERO), "0.00");
    }
}
