//! How near a venue is to liquidating us, as a step on which something is done.

/// What a venue's distance to liquidation asks for; each includes the ones before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Calm,
    /// Tell.
    Warn,
    /// Enter nothing.
    Stop,
    /// Leave the largest pair.
    Shrink,
    /// Leave all pairs.
    Flatten,
}
