//! One hop over a link beside one over bare rtrb: `cargo bench --bench link`.
//!
//! Half of a ping-pong between two threads, each spinning on a core of its own, 64 bytes a message,
//! in alternating rounds; the best round of each is compared. Budget: 1.2 of rtrb. With fewer than
//! two cores there is no hop to measure. Every message is asserted to be the one that was sent.

use core_affinity::CoreId;
use parallax::stage;
use parallax::stage::link::link;
use std::thread::JoinHandle;
use std::time::Instant;

type Message = [u64; 8];

const ROUNDS: usize = 15;
const HOPS: u64 = 200_000;
const CAPACITY: usize = 64;
const RATIO_MAX: f64 = 1.2;
/// The last message: the other side goes home.
const END: u64 = u64::MAX;

/// A thread that sends back whatever comes, until the end does.
fn echo(
    core: usize,
    mut pop: impl FnMut() -> Option<Message> + Send + 'static,
    mut push: impl FnMut(Message) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        core_affinity::set_for_current(CoreId { id: core });
        loop {
            if let Some(message) = pop() {
                push(message);
                if message[0] == END {
                    return;
                }
            }
            std::hint::spin_loop();
        }
    })
}

/// Nanoseconds of one hop.
fn hop(mut push: impl FnMut(Message), mut pop: impl FnMut() -> Option<Message>) -> f64 {
    let mut turn = |number: u64| {
        push([number; 8]);
        let back = loop {
            if let Some(message) = pop() {
                break message;
            }
            std::hint::spin_loop();
        };
        assert_eq!(back, [number; 8]);
    };
    let begun = Instant::now();
    (0..HOPS / 2).for_each(&mut turn);
    let ns = begun.elapsed().as_nanos() as f64 / HOPS as f64;
    turn(END);
    ns
}

fn ours(core: usize) -> f64 {
    let (mut out, mut out_rx) = link::<Message>("out", CAPACITY);
    let (mut back, mut back_rx) = link::<Message>("back", CAPACITY);
    let other = echo(
        core,
        move || out_rx.pop(),
        move |m| back.push(m).expect("room"),
    );
    let ns = hop(|message| out.push(message).expect("room"), || back_rx.pop());
    other.join().expect("it went home");
    ns
}

fn bare(core: usize) -> f64 {
    let (mut out, mut out_rx) = rtrb::RingBuffer::<Message>::new(CAPACITY);
    let (mut back, mut back_rx) = rtrb::RingBuffer::<Message>::new(CAPACITY);
    let push = move |message| back.push(message).expect("room");
    let other = echo(core, move || out_rx.pop().ok(), push);
    let ns = hop(
        |message| out.push(message).expect("room"),
        || back_rx.pop().ok(),
    );
    other.join().expect("it went home");
    ns
}

fn main() {
    let cores = stage::cores();
    let &[here, there, ..] = cores.as_slice() else {
        println!("link: no second core, no hop");
        return;
    };
    core_affinity::set_for_current(CoreId { id: here });
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        best = (best.0.min(ours(there)), best.1.min(bare(there)));
    }
    let ratio = best.0 / best.1;
    let word = if ratio <= RATIO_MAX { "met" } else { "missed" };
    println!(
        "link: {:.1} ns a hop, rtrb {:.1} ns, ratio {ratio:.2} (budget {RATIO_MAX}: {word})",
        best.0, best.1
    );
}
