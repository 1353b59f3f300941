//! What an order waits for asks the system for no memory, and for little else.
//!
//! After warm-up: nothing in the scanner, nothing in our lines of feeds and gateways over every
//! kind of message (resync included), nothing in a signature. What the libraries take is counted
//! apart, printed and capped. Between a tick's arrival and its order's departure lie at most one
//! look at readiness, one read that hits and one write, counted over loopback sockets.

#[path = "allocation/feeds.rs"]
mod feeds;
#[path = "allocation/gateways.rs"]
mod gateways;
#[path = "rig/instrument.rs"]
mod instrument;
#[cfg(feature = "sim")]
#[path = "allocation/scanner.rs"]
mod scanner;
#[path = "allocation/sockets.rs"]
mod sockets;
#[cfg(feature = "sim")]
#[path = "rig/virtual_time/mod.rs"]
mod virtual_time;

use parallax::venue::extended::sign::hash::{Chain, OrderHasher, OrderTerms};
use parallax::venue::extended::sign::{self as stark, Felt, StarkKey};
use parallax::venue::lighter::sign::order::CreateOrder;
use parallax::venue::lighter::sign::transaction::{Envelope, Transaction};
use parallax::venue::lighter::sign::{self as schnorr, NonceSource, PrivateKey};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted by thread: the test harness has threads of its own.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread so far.
fn allocated() -> u64 {
    COUNT.with(Cell::get)
}

/// Allocations of this thread while something runs.
fn counted(run: impl FnOnce()) -> u64 {
    let before = allocated();
    run();
    allocated() - before
}

#[test]
fn the_count_counts() {
    assert!(counted(|| drop(std::hint::black_box(Box::new(7)))) > 0);
}

#[test]
fn an_order_of_lighter_is_signed_without_memory() {
    let key = PrivateKey::parse_hex(&"5a".repeat(40)).unwrap();
    let mut maker = schnorr::PointMaker::new(&key);
    let mut source = NonceSource::new();
    let envelope = Envelope {
        chain_id: 304,
        account_index: 7,
        api_key_index: 5,
        expired_at_ms: 1_790_000_599_000,
        nonce: 1,
    };
    let order = CreateOrder {
        market_index: 1,
        client_order_index: 9,
        base_amount: 229_685,
        price: 5,
        ..CreateOrder::default()
    };
    let hash = || Transaction::create_order(envelope, &order).unwrap().hash();
    let points = maker.prepare().unwrap();
    let online = counted(|| {
        for point in points {
            key.sign_ahead(hash(), point).unwrap();
        }
    });
    let full = counted(|| {
        key.sign(hash(), &mut source).unwrap();
    });
    let refill = counted(|| drop(maker.prepare().unwrap()));
    assert_eq!((online, full, refill), (0, 0, 0));
}

#[test]
fn an_order_of_extended_is_signed_without_memory() {
    let key = StarkKey::parse_hex("0x7a7ff6fd3cab02ccdcd4a572563f5976").unwrap();
    let hasher = OrderHasher::new(Chain::Main, key.public_key(), 10_002);
    let mut maker = stark::PointMaker::new(&key);
    let terms = OrderTerms {
        base_asset: Felt::from(6_u8),
        base_amount: 1_000,
        quote_asset: Felt::ONE,
        quote_amount: -43_445_117,
        fee_amount: 21_723,
        expiration_s: 1_791_209_600,
        salt: 7,
    };
    let points = maker.prepare().unwrap();
    let online = counted(|| {
        for point in points {
            point.sign(hasher.order_hash(&terms)).unwrap();
        }
    });
    let refill = counted(|| drop(maker.prepare().unwrap()));
    let full = counted(|| {
        key.sign(hasher.order_hash(&terms)).unwrap();
    });
    assert_eq!((online, full, refill), (0, 0, 0));
}
