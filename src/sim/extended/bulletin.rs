//! What the account stream tells: a frame for each change, and three that open it.
//!
//! Promises: a frame is written with the state of its moment, whenever a fault lets it be told.
//! Refuses to write for nobody.

use crate::market::units::Nanos;
use crate::sim::exchange::{Exchange, Happening, Status};
use crate::sim::extended::frame::{Frame, Kind, Topic};
use crate::sim::extended::press::Rack;
use crate::sim::extended::{Desk, wire};
use crate::sim::faults::news::{Bend, Class, Courier};
use crate::sim::server::Moment;
use serde_json::{Value, json};

impl Desk {
    /// Writes what concerns the account and tells it, unless a fault has it told otherwise.
    pub(super) fn print_account(
        &self,
        rack: &mut Rack,
        exchange: &Exchange,
        moment: Moment,
        happened: &[Happening],
    ) {
        let Some(lane) = rack.read(Topic::Account).cloned() else {
            rack.courier = Courier::default();
            return;
        };
        let at = moment.at;
        for frame in rack.courier.take_due(at) {
            let _ = lane.send(frame);
        }
        let write = |happening: &Happening| self.account_frame(exchange, moment.now, happening);
        let mut frames: Vec<Frame> = happened.iter().filter_map(write).collect();
        let faults = self.floor.faults();
        match faults.and_then(|faults| faults.bend(at, happened)) {
            None => {}
            Some(Bend::Late { orders_ns, rest_ns }) => {
                rack.courier.delay(Class::Orders, at.plus(orders_ns));
                rack.courier.delay(Class::Rest, at.plus(rest_ns));
            }
            Some(Bend::Lie { told, late_ns }) => {
                if let Some(frame) = write(&Happening::Order(told)) {
                    let _ = lane.send(frame);
                }
                rack.courier.delay(Class::Orders, at.plus(late_ns));
                rack.courier.delay(Class::Rest, at.plus(late_ns));
            }
            Some(Bend::Twice) => frames.extend(frames.clone()),
        }
        for frame in frames {
            let class = match frame.kind {
                Kind::Order => Class::Orders,
                _ => Class::Rest,
            };
            if let Some(frame) = rack.courier.pass(at, class, frame) {
                let _ = lane.send(frame);
            }
        }
    }

    /// A frame for each change, as the venue sends them; several changes are never put into one.
    fn account_frame(
        &self,
        exchange: &Exchange,
        now: Nanos,
        happening: &Happening,
    ) -> Option<Frame> {
        let (kind, data) = match happening {
            // Between accepting and matching the venue says nothing. Open: whether an order that
            // is filled at once is ever shown as NEW.
            Happening::Order(view) if view.status == Status::Pending => return None,
            Happening::Order(view) => {
                let row = wire::order(self, &self.ledger(), view);
                (Kind::Order, json!({"isSnapshot": false, "orders": [row]}))
            }
            Happening::Trade(trade) => {
                let row = wire::trade(self, trade, true);
                (Kind::Trade, json!({"isSnapshot": false, "trades": [row]}))
            }
            Happening::Position {
                instrument,
                position,
            } => {
                let market = self.market(*instrument);
                let leverage = self.leverage_of(market);
                let row = wire::position(self, market, position, leverage, now);
                let data = json!({"isSnapshot": false, "positions": [row]});
                (Kind::Position, data)
            }
            Happening::Account(_) => (Kind::Balance, self.balance_data(exchange, now, false)),
            // No message of the stream is known to tell a payment; the balance after it follows.
            Happening::Book { .. }
            | Happening::PublicTrade { .. }
            | Happening::Mark { .. }
            | Happening::Funding(_) => {
                return None;
            }
        };
        Some(Frame::new(kind, data.to_string(), now))
    }

    /// The balance as the account stream shows it.
    fn balance_data(&self, exchange: &Exchange, now: Nanos, is_snapshot: bool) -> Value {
        let mut balance = wire::balance(self, exchange, now);
        // The stream has a member that REST has not. [CAP v1.account.balance]
        balance["status"] = "ACTIVE".into();
        json!({"isSnapshot": is_snapshot, "balance": balance})
    }

    /// ORDER, BALANCE, POSITION, in the order seen. [CAP v1.account.*]
    pub(super) fn account_opening(&self, exchange: &Exchange, now: Nanos) -> Vec<Frame> {
        let orders = json!({"isSnapshot": true, "orders": self.open_order_rows(exchange)});
        let positions = json!({"isSnapshot": true, "positions": self.position_rows(exchange)});
        let frames = [
            (Kind::Order, orders),
            (Kind::Balance, self.balance_data(exchange, now, true)),
            (Kind::Position, positions),
        ];
        frames
            .map(|(kind, data)| Frame::new(kind, data.to_string(), now))
            .into()
    }
}
