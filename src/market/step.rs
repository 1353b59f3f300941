//! The steps of the corridor whose durations are kept, in its order, with their stable names.
//!
//! Promises: a new step does not compile without a name. Refuses: durations themselves.

/// A step of the corridor whose duration is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Step {
    /// Bytes taken in by the kernel to the read that brings them, of one read in sixteen.
    WireWait,
    /// Socket read and decryption until a whole message stands in the buffer.
    Recv,
    /// JSON to deltas.
    Decode,
    /// Deltas into the full book and onto the link.
    Book,
    /// Pushed by the feed to popped by the scanner.
    Link,
    /// Mirror update and walk of both ladders, both directions.
    Scan,
    /// Market-data bytes read to the market looked at: `recv` to `scan`, waiting included.
    TickToScan,
    /// Limits and sizing.
    Risk,
    /// Hash and signature.
    Sign,
    /// Request bytes written into the send buffer.
    Encode,
    /// Frame, encrypt, write.
    Send,
    /// Market-data bytes read to order bytes written, first leg of an entry.
    TickToSend,
    /// Order bytes written to the venue's acknowledgement read.
    SendToAck,
    /// Order bytes written to the first fill read from the account stream.
    SendToFill,
}

/// All steps, in corridor order.
pub const STEPS: [Step; 14] = [
    Step::WireWait,
    Step::Recv,
    Step::Decode,
    Step::Book,
    Step::Link,
    Step::Scan,
    Step::TickToScan,
    Step::Risk,
    Step::Sign,
    Step::Encode,
    Step::Send,
    Step::TickToSend,
    Step::SendToAck,
    Step::SendToFill,
];

impl Step {
    /// Stable JSON name.
    pub const fn name(self) -> &'static str {
        match self {
            Step::WireWait => "wire_wait",
            Step::Recv => "recv",
            Step::Decode => "decode",
            Step::Book => "book",
            Step::Link => "link",
            Step::Scan => "scan",
            Step::TickToScan => "tick_to_scan",
            Step::Risk => "risk",
            Step::Sign => "sign",
            Step::Encode => "encode",
            Step::Send => "send",
            Step::TickToSend => "tick_to_send",
            Step::SendToAck => "send_to_ack",
            Step::SendToFill => "send_to_fill",
        }
    }
}
