//! Nonce points: each once, none twice, whatever makes and carries them.

use parallax::market::Venue;
use parallax::market::units::Nanos;
use parallax::signer::{Ahead, Signer};
use parallax::stage::Stage;
use parallax::stage::link::link;
use parallax::topology::POINTS_LEN;
use parallax::venue::extended::sign as stark;
use parallax::venue::lighter::sign as schnorr;
use parallax::venue::points::{Maker, NoPoints, Point};
use std::collections::HashSet;

const NOW: Nanos = Nanos::ZERO;

/// A stand-in that only counts; 0 is what a place holds after it was moved on.
struct Numbered(u64);

impl Point for Numbered {
    fn move_out(&mut self) -> Numbered {
        Numbered(std::mem::take(&mut self.0))
    }
}

struct Counter(u64);

impl Maker for Counter {
    type Point = Numbered;
    const BATCH: usize = 16;

    fn prepare(&mut self, mut put: impl FnMut(&mut Numbered)) -> Result<(), NoPoints> {
        for _ in 0..Counter::BATCH {
            self.0 += 1;
            put(&mut Numbered(self.0));
        }
        Ok(())
    }
}

fn plant<M: Maker>(venue: Venue, maker: M) -> (Signer<M>, Ahead<M::Point>) {
    let (tx, rx) = link("points.test", POINTS_LEN);
    (Signer::new(venue, maker, tx), Ahead::new(rx))
}

/// Takes in bursts of changing length, as orders come; the signer turns in between.
#[test]
fn ten_million_are_each_seen_exactly_once() {
    const COUNT: u64 = 10_000_000;
    let (mut signer, mut ahead) = plant(Venue::Lighter, Counter(0));
    signer.start(NOW);
    let (mut seen, mut burst) = (0, 0);
    while seen < COUNT {
        burst = (burst + 7) % (POINTS_LEN + 3);
        for _ in 0..burst {
            // In order and without a hole: then none is missing and none comes twice.
            let Some(Numbered(number)) = ahead.take() else {
                break;
            };
            seen += 1;
            assert_eq!(number, seen);
        }
        signer.turn(NOW);
    }
}

const COUNT: usize = 100_000;

/// Equal points would give equal public halves: the nonce point's own, as a signature shows it.
fn all_differ<M: Maker, R: std::hash::Hash + Eq>(
    venue: Venue,
    maker: M,
    public_half: impl Fn(M::Point) -> R,
) {
    let (mut signer, mut ahead) = plant(venue, maker);
    let mut seen = HashSet::with_capacity(COUNT);
    while seen.len() < COUNT {
        assert!(signer.turn(NOW) > 0);
        while let Some(point) = ahead.take() {
            assert!(seen.insert(public_half(point)), "a point came twice");
        }
    }
}

#[test]
fn no_two_of_a_hundred_thousand_points_of_extended_are_equal() {
    let key = stark::StarkKey::parse_hex("0x1234567890abcdef").unwrap();
    let maker = stark::PointMaker::new(&key);
    all_differ(Venue::Extended, maker, |point| {
        point.sign(stark::Felt::ONE).unwrap().r.to_bytes_be()
    });
}

/// The challenge is a hash of the point's public half and one message.
#[test]
fn no_two_of_a_hundred_thousand_points_of_lighter_are_equal() {
    let key = schnorr::PrivateKey::parse_hex(&"5a".repeat(40)).unwrap();
    let message = schnorr::Message::from_bytes(&[1; 40]).unwrap();
    let maker = schnorr::PointMaker::new(&key);
    all_differ(Venue::Lighter, maker, |point| {
        key.sign_ahead(message, point).unwrap()
    });
}
