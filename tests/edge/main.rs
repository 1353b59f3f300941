//! Whether an edge is worth taking: the engine in virtual time, judged by the venues' own ledgers
//! and by a reference that knows the law.

mod arrival;
mod calibration;
mod depth;
mod ledger;
mod natural;
mod policy;
mod reference;
mod stand;
mod study;
mod view;
#[path = "../rig/virtual_time/mod.rs"]
mod virtual_time;
