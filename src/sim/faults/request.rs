//! Faults of requests over HTTP: pages of a front door, and connections that end or die.
//!
//! Promises: whether the venue did what was asked is settled before its sender is kept waiting.
//! Refuses to read requests: the venue says which of them bring orders, and for which market.

use crate::market::InstrumentId;
use crate::sim::faults::orders::{Detour, Ending};
use crate::sim::server::rt::{self, Duration};
use crate::sim::server::web::{IntoResponse, Response, StatusCode, header};
use crate::sim::server::{Floor, fuse_of, web};

/// A dead connection is let go after this: longer than anybody should wait.
pub const DEAD: Duration = Duration::from_secs(120);

/// A request, as far as faults care.
pub struct Asked<'a> {
    /// Of the request; knows its connection's fuse.
    pub extensions: &'a web::Extensions,
    /// It brings an order, for this market where that can be read.
    pub order: Option<Option<InstrumentId>>,
}

/// Answers a request as `make` does, or as the faults have it.
pub async fn answer(floor: &Floor, asked: Asked<'_>, make: impl FnOnce() -> Response) -> Response {
    let Some(faults) = floor.faults() else {
        return make();
    };
    let now = floor.now();
    let detour = match asked.order {
        Some(market) => faults.detour(now, market),
        None => faults.page(now).map(|status| Detour {
            is_taken: false,
            ending: Ending::Page(status),
        }),
    };
    let Some(Detour { is_taken, ending }) = detour else {
        return make();
    };
    let fuse = fuse_of(asked.extensions);
    let made = is_taken.then(make);
    match ending {
        Ending::Page(status) => return page(status, faults.retry_after_s()),
        Ending::Break(bytes) if made.is_some() => fuse.set(bytes),
        Ending::Break(_) | Ending::Silence => fuse.set(0),
        Ending::Hang => {
            rt::sleep(DEAD).await;
            fuse.set(0);
        }
    }
    made.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

/// What a front door answers in place of the venue, and when it says that another request is
/// welcome (RFC 9110, part 10.2.3).
pub fn page(status: u16, retry_after_s: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    let text = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body><h1>{status}</h1></body></html>\n"
    );
    let retry_after = retry_after_s.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
    match retry_after {
        Some(retry_after) => (status, retry_after, kind, text).into_response(),
        None => (status, kind, text).into_response(),
    }
}
