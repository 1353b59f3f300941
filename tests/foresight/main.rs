//! What the scanner tells a gateway beforehand, against what it then sends.

mod hits;
#[path = "../rig/scripted.rs"]
mod scripted;
#[path = "../rig/virtual_time/mod.rs"]
mod virtual_time;
mod words;
