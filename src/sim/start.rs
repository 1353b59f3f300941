//! Starts both simulated venues on loopback and tells where they are and with which keys.
//!
//! Promises: addresses are bound before anything is told, so whoever reads the description can
//! connect; both venues play the same tape from the same moment with the same planted events.
//! Refuses addresses that are not loopback.

use crate::market::units::{MS, Nanos};
use crate::market::{VENUES, Venue};
use crate::sim::SimError;
use crate::sim::exchange::{Exchange, HOUR_NS, LighterTier, Settings};
use crate::sim::extended;
use crate::sim::faults::Faults;
use crate::sim::faults::spec::Spec;
use crate::sim::flow::{Flow, FlowOptions};
use crate::sim::lighter;
use crate::sim::plant::{Plant, PlantedEvent};
use crate::sim::relay::Contracts;
use crate::sim::server::{Certificate, Floor, LATE_NS, Lag, RequestLog, Running, run_venue};
use crate::sim::tape::Tape;
use crate::stage::clock::Clock;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What to start.
#[derive(Clone)]
pub struct Options {
    /// Where Extended listens; port 0 lets the system choose.
    pub listen_extended: SocketAddr,
    /// Where Lighter listens; port 0 lets the system choose.
    pub listen_lighter: SocketAddr,
    /// Serve http and ws instead of https and wss.
    pub plain: bool,
    /// Seed of keys, plants and delays.
    pub seed: u64,
    /// What to plant.
    pub plant: Plant,
    /// The Lighter account's tier.
    pub tier: LighterTier,
    /// What to play.
    pub tape: Arc<Tape>,
    /// How many markets are listed, copies of the tape's where it has fewer; `None` for its own.
    pub markets: Option<usize>,
    /// Market-data messages a second that both venues together aim at (see `tape::pace`); `None`
    /// for the tape's own speed.
    pub rate: Option<u32>,
    /// Time between two charges of funding on both venues; the venues' own is an hour.
    pub funding_every_ns: u64,
    /// What goes wrong between the venues and their clients; `None` for nothing.
    pub faults: Option<Spec>,
    /// Write every request received here.
    pub log: Option<PathBuf>,
    /// Client messages a minute that Lighter takes from one address: the venue's 200, more only to
    /// measure a load sooner.
    pub lighter_messages_per_minute: usize,
    /// What the venues name as their contracts on the chain.
    pub contracts: Contracts,
}

impl Options {
    /// The tape that ships, on free ports, with TLS, planted by the law.
    pub fn new(seed: u64) -> Options {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Options {
            listen_extended: any,
            listen_lighter: any,
            plain: false,
            seed,
            plant: Plant::On,
            tier: LighterTier::Standard,
            tape: Arc::new(Tape::embedded()),
            markets: None,
            rate: None,
            funding_every_ns: HOUR_NS,
            faults: None,
            log: None,
            lighter_messages_per_minute: 200,
            contracts: Contracts::default(),
        }
    }
}

/// Where the venues are and with which keys; `parallax sim` prints it as its first line.
#[derive(Clone, Serialize)]
pub struct Description {
    /// The Extended venue.
    pub extended: ExtendedDescription,
    /// The Lighter venue.
    pub lighter: LighterDescription,
    /// The wallet behind both accounts.
    pub l1_private_key: String,
    /// What a client must trust; empty when the venues are plain.
    pub ca_pem: String,
}

impl Description {
    /// What a user would write from it: endpoints, accounts and keys.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let (e, l) = (&self.extended, &self.lighter);
        let keys = l.keys.iter();
        let keys: Vec<_> = keys
            .map(|key| format!("{}:{}", key.index, key.private_key))
            .collect();
        vec![
            ("EXTENDED_BASE_URL", e.rest.clone()),
            ("EXTENDED_STREAM_URL", e.stream.clone()),
            ("EXTENDED_API_KEY", e.api_key.clone()),
            ("EXTENDED_PRIVATE_KEY", e.private_key.clone()),
            ("EXTENDED_VAULT", e.vault.to_string()),
            ("EXTENDED_CHAIN_ID", e.chain_id.clone()),
            ("LIGHTER_BASE_URL", l.rest.clone()),
            ("LIGHTER_WS_URL", l.ws.clone()),
            ("LIGHTER_ACCOUNT_INDEX", l.account_index.to_string()),
            ("LIGHTER_API_KEYS", keys.join(",")),
            ("LIGHTER_CHAIN_ID", l.chain_id.to_string()),
        ]
    }
}

/// Extended's endpoints and credentials.
#[derive(Clone, Serialize)]
pub struct ExtendedDescription {
    /// Base of REST, ends in `/api/v1`.
    pub rest: String,
    /// Base of stream v1, ends in `/v1`.
    pub stream: String,
    /// Stream v2, ends in `/v2/rpc`.
    pub rpc: String,
    /// Base of onboarding.
    pub onboarding: String,
    /// API key.
    pub api_key: String,
    /// Stark private key, hex.
    pub private_key: String,
    /// Stark public key, hex.
    pub public_key: String,
    /// Position id.
    pub vault: u32,
    /// Account id.
    pub account_id: u64,
    /// Starknet chain id of the signing domain.
    pub chain_id: String,
    /// EIP-712 domain name.
    pub signing_domain: String,
}

/// Lighter's endpoints and credentials. The single key repeats the first of `keys`.
#[derive(Clone, Serialize)]
pub struct LighterDescription {
    /// Origin of REST.
    pub rest: String,
    /// The stream, ends in `/stream`.
    pub ws: String,
    /// The account.
    pub account_index: u64,
    /// Slot of the first key.
    pub api_key_index: u8,
    /// The first key, hex.
    pub private_key: String,
    /// Its public key, hex.
    pub public_key: String,
    /// Chain id in transaction hashes.
    pub chain_id: u64,
    /// All keys.
    pub keys: Vec<LighterKeyDescription>,
}

/// One Lighter API key.
#[derive(Clone, Serialize)]
pub struct LighterKeyDescription {
    /// Slot.
    pub index: u8,
    /// Private key, hex.
    pub private_key: String,
    /// Public key, hex.
    pub public_key: String,
}

/// Both venues, running. Dropping it stops them.
pub struct Sim {
    /// Where and with which keys.
    pub description: Description,
    /// When the run started: the origin of planted events.
    pub start: Nanos,
    /// The Extended venue's own books, for the relayer.
    pub(in crate::sim) extended: Arc<extended::Desk>,
    floors: [Arc<Floor>; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Sim {
    /// Every planted event that starts before `until`, from the seed alone.
    pub fn plants(&self, until: Nanos) -> Vec<PlantedEvent> {
        self.floors[0].look(|exchange| exchange.flow().plants(until))
    }

    /// One venue's floor, for tests and reports in the same process.
    pub fn floor(&self, venue: Venue) -> &Arc<Floor> {
        &self.floors[venue.idx()]
    }

    /// How far each venue was behind its own schedule, by `Venue::idx`.
    pub fn lag(&self) -> [Lag; 2] {
        self.floors.each_ref().map(|floor| floor.lag())
    }

    /// What must be told at the end: which venue could not keep up with its schedule, and by how
    /// much; `None` when both did.
    pub fn complaint(&self) -> Option<String> {
        let late = VENUES
            .iter()
            .zip(self.lag())
            .filter(|(_, lag)| lag.late > 0);
        let tell = |(venue, lag): (&Venue, Lag)| {
            format!(
                "the simulated {} was more than {} ms late with {} of {} steps of its tape, at \
                 most {} ms: this machine can't keep up with --rate or --markets",
                venue.name(),
                LATE_NS / MS,
                lag.late,
                lag.steps,
                lag.max_ns / MS,
            )
        };
        let lines: Vec<String> = late.map(tell).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// What of the faults asked for has really happened: the kind's name, the venue, how often.
    /// Kinds that have not happened yet are told too; empty when none were asked for.
    pub fn faults_done(&self) -> Vec<(&'static str, Venue, u64)> {
        let mut all = Vec::new();
        for venue in VENUES {
            let Some(faults) = self.floor(venue).faults() else {
                continue;
            };
            let done = faults.done().into_iter();
            all.extend(done.map(|(kind, count)| (kind.name(), venue, count)));
        }
        all
    }

    /// Stops both venues and waits for their threads.
    pub fn stop(mut self) {
        self.end();
    }

    /// Stops floors before it waits, so that both end at the same time.
    fn end(&mut self) {
        for floor in &self.floors {
            floor.stop();
        }
        for thread in self.threads.drain(..) {
            // A venue that panicked has printed why; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts both venues.
///
/// # Errors
/// Any [`SimError`]; nothing keeps running then.
pub fn start(options: &Options) -> Result<Sim, SimError> {
    let extended_listener = bind(options.listen_extended)?;
    let lighter_listener = bind(options.listen_lighter)?;
    let addresses = [address(&extended_listener)?, address(&lighter_listener)?];
    let certificate = match options.plain {
        true => None,
        false => Some(Certificate::new()?),
    };
    let tls = || certificate.as_ref().map(Certificate::server_config);
    let log = match &options.log {
        Some(path) => Some(RequestLog::open(path, Venue::Extended)?),
        None => None,
    };
    let moment = Clock::new().now();
    let extended_settings = Settings::extended(options.seed);
    let fees = extended::Fees {
        taker_e6: extended_settings.taker_fee_e6,
        maker_e6: extended_settings.maker_fee_e6,
    };
    let lighter_settings = Settings::lighter(options.tier, options.seed);
    let extended_floor = open(options, extended_settings, moment, log.clone())?;
    let lighter_log = log.map(|log| log.for_venue(Venue::Lighter));
    let lighter_floor = open(options, lighter_settings, moment, lighter_log)?;
    let keys = extended::Credentials::from_seed(options.seed);
    let desk = extended::Desk::new(Arc::clone(&extended_floor), keys.clone(), fees);
    desk.ledger().bridge.contracts = options.contracts;
    let lighter_keys = lighter::credentials(options.seed);
    let lighter_options = lighter::Options {
        messages_per_minute: options.lighter_messages_per_minute,
        messages_in_flight: (options.lighter_messages_per_minute / 4).max(1),
        contracts: options.contracts,
        ..lighter::Options::of(options.tier)
    };
    let description = Description {
        extended: describe_extended(options.plain, addresses[0], keys),
        lighter: describe_lighter(options.plain, addresses[1], &lighter_keys),
        l1_private_key: lighter_keys.l1_private_key.clone(),
        ca_pem: certificate
            .as_ref()
            .map_or_else(String::new, |made| made.ca_pem.clone()),
    };
    let mut sim = Sim {
        description,
        start: moment,
        extended: Arc::clone(&desk),
        floors: [Arc::clone(&extended_floor), Arc::clone(&lighter_floor)],
        threads: Vec::new(),
    };
    let extended_venue = Running {
        listener: extended_listener,
        tls: tls(),
        router: extended::router(desk),
        floor: extended_floor,
    };
    let lighter_venue = Running {
        listener: lighter_listener,
        tls: tls(),
        router: lighter::router(Arc::clone(&lighter_floor), lighter_keys, lighter_options),
        floor: lighter_floor,
    };
    sim.threads.push(run_venue("sim-extended", extended_venue)?);
    sim.threads.push(run_venue("sim-lighter", lighter_venue)?);
    Ok(sim)
}

/// One venue's floor: the tape, the plants, the exchange. Both venues are given the same moment and
/// seed, since they agree on planted events by nothing else.
fn open(
    options: &Options,
    mut settings: Settings,
    start: Nanos,
    log: Option<RequestLog>,
) -> Result<Arc<Floor>, SimError> {
    settings.funding.every_ns = options.funding_every_ns;
    let venue = settings.venue;
    let playback = FlowOptions {
        venue,
        seed: options.seed,
        plant: options.plant.clone(),
        start,
        markets_len: options.markets,
        rate: options.rate,
    };
    let flow = Flow::new(Arc::clone(&options.tape), playback)
        .map_err(|error| SimError::Tape(error.to_string()))?;
    let faults = match &options.faults {
        Some(spec) => {
            let here = (venue, start);
            let faults = Faults::new(spec, options.seed, here, flow.rules());
            Some(faults.map_err(SimError::Faults)?)
        }
        None => None,
    };
    let floor = Floor::new(Exchange::new(settings, flow), log);
    if let Some(faults) = faults {
        floor.set_faults(faults);
    }
    Ok(floor)
}

/// Binds in the caller's thread, so that a taken port is told before anything else is started.
fn bind(wanted: SocketAddr) -> Result<TcpListener, SimError> {
    if !wanted.ip().is_loopback() {
        return Err(SimError::NotLoopback(wanted));
    }
    let listener = TcpListener::bind(wanted).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => SimError::PortTaken(wanted),
        _ => SimError::Listen(wanted, error.to_string()),
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|error| SimError::Listen(wanted, error.to_string()))?;
    Ok(listener)
}

/// The port the system chose, where it was asked to.
fn address(listener: &TcpListener) -> Result<SocketAddr, SimError> {
    listener
        .local_addr()
        .map_err(|error| SimError::Thread(error.to_string()))
}

/// `http` or `https`, `ws` or `wss`.
fn schemes(plain: bool) -> (&'static str, &'static str) {
    if plain {
        ("http", "ws")
    } else {
        ("https", "wss")
    }
}

/// Extended's part of the description, in the shape of the venue's own configuration.
fn describe_extended(
    plain: bool,
    address: SocketAddr,
    keys: extended::Credentials,
) -> ExtendedDescription {
    let (http, ws) = schemes(plain);
    let stream = format!("{ws}://{address}/stream.extended.exchange");
    ExtendedDescription {
        rest: format!("{http}://{address}/api/v1"),
        stream: format!("{stream}/v1"),
        rpc: format!("{stream}/v2/rpc"),
        onboarding: format!("{http}://{address}"),
        api_key: keys.api_key,
        private_key: keys.private_key,
        public_key: keys.public_key,
        vault: keys.vault,
        account_id: keys.account_id,
        chain_id: extended::CHAIN_ID.into(),
        signing_domain: extended::SIGNING_DOMAIN.into(),
    }
}

/// Lighter's part of the description; the account is made with at least one key.
fn describe_lighter(
    plain: bool,
    address: SocketAddr,
    keys: &lighter::Credentials,
) -> LighterDescription {
    let (http, ws) = schemes(plain);
    let first = &keys.keys[0];
    LighterDescription {
        rest: format!("{http}://{address}"),
        ws: format!("{ws}://{address}/stream"),
        account_index: keys.account_index,
        api_key_index: first.index,
        private_key: first.private_key_hex.clone(),
        public_key: first.public_key_hex.clone(),
        chain_id: keys.chain_id,
        keys: keys
            .keys
            .iter()
            .map(|key| LighterKeyDescription {
                index: key.index,
                private_key: key.private_key_hex.clone(),
                public_key: key.public_key_hex.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::io::Write;
    use std::net::TcpStream;
    use tungstenite::client::IntoClientRequest;
    use tungstenite::{Message, WebSocket};

    fn plain(seed: u64) -> Options {
        let mut options = Options::new(seed);
        options.plain = true;
        options
    }

    fn listen(url: &str, header: Option<(&str, &str)>) -> WebSocket<TcpStream> {
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("user-agent", "tests".parse().unwrap());
        if let Some((name, value)) = header {
            let name: tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let host = request.uri().authority().unwrap().to_string();
        let socket = TcpStream::connect(host).unwrap();
        tungstenite::client(request, socket).unwrap().0
    }

    fn hear(socket: &mut WebSocket<TcpStream>) -> Value {
        loop {
            if let Message::Text(text) = socket.read().unwrap() {
                return serde_json::from_str(text.as_str()).unwrap();
            }
        }
    }

    #[test]
    fn both_streams_keep_their_sequence() {
        let sim = start(&plain(3)).unwrap();
        let told = &sim.description.extended;
        let mut book = listen(&format!("{}/orderbooks/BTC-USD", told.stream), None);
        for sequence in 1..=30 {
            let frame = hear(&mut book);
            assert_eq!(frame["seq"], sequence);
            let kind = if sequence == 1 { "SNAPSHOT" } else { "DELTA" };
            assert_eq!(frame["type"], kind);
        }
        let key = Some(("x-api-key", told.api_key.as_str()));
        let mut account = listen(&format!("{}/account", told.stream), key);
        let opening = ["ORDER", "BALANCE", "POSITION"];
        for (idx, kind) in opening.iter().enumerate() {
            let frame = hear(&mut account);
            assert_eq!(
                (&frame["type"], &frame["seq"]),
                (&(*kind).into(), &(idx + 1).into())
            );
        }
        let mut unknown = listen(&format!("{}/orderbooks/NO-USD", told.stream), None);
        assert_eq!(hear(&mut unknown)["error"]["code"], 1001);

        let mut rpc = listen(&told.rpc, None);
        let ask = |method: &str, params: &str| {
            let text =
                format!(r#"{{"method":"{method}","id":"9","jsonrpc":"2.0","params":{params}}}"#);
            Message::text(text)
        };
        rpc.send(ask("nonsense", "{}")).unwrap();
        assert_eq!(hear(&mut rpc)["error"]["code"], -32601);
        rpc.send(Message::text("{")).unwrap();
        assert_eq!(hear(&mut rpc)["error"]["code"], -32700);
        let stranger = r#"{"scope":"account","selector":{"account":"1"},"apiKey":"x"}"#;
        rpc.send(ask("subscribe", stranger)).unwrap();
        assert_eq!(hear(&mut rpc)["error"]["code"], -32001);
        let wanted = r#"{"scope":"orderbooks","selector":{"market":"BTC-USD","depth":"full"}}"#;
        rpc.send(ask("subscribe", wanted)).unwrap();
        let reply = hear(&mut rpc);
        assert_eq!(reply["result"]["subscription"], "orderbooks.BTC-USD");
        for sequence in 0..20 {
            let frame = hear(&mut rpc);
            assert_eq!(
                (&frame["seq"], &frame["subscription"]),
                (&sequence.into(), &"orderbooks.BTC-USD".into(),)
            );
        }
        sim.stop();
    }

    #[test]
    fn keys_and_agents_are_asked_for_on_the_upgrade() {
        let sim = start(&plain(4)).unwrap();
        let told = &sim.description.extended;
        let refusal = |url: String, agent: bool, key: Option<&str>| {
            let mut request = url.into_client_request().unwrap();
            if agent {
                let agent = "tests".parse().unwrap();
                request.headers_mut().insert("user-agent", agent);
            }
            if let Some(key) = key {
                request
                    .headers_mut()
                    .insert("x-api-key", key.parse().unwrap());
            }
            let host = request.uri().authority().unwrap().to_string();
            match tungstenite::client(request, TcpStream::connect(host).unwrap()) {
                Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(reply))) => {
                    reply.status().as_u16()
                }
                other => panic!("{}", other.is_ok()),
            }
        };
        let path = |path: &str| format!("{}{path}", told.stream);
        assert_eq!(refusal(path("/account"), true, None), 401);
        assert_eq!(refusal(path("/account"), true, Some("wrong")), 401);
        assert_eq!(refusal(path("/orderbooks/BTC-USD"), false, None), 400);
        assert_eq!(refusal(path("/nothing"), true, None), 404);
        assert_eq!(
            refusal(path("/orderbooks/BTC-USD?depth=5"), true, None),
            400
        );
    }

    #[test]
    fn tls_is_trusted_by_its_authority_and_not_held_up() {
        let log = std::env::temp_dir().join(format!("parallax-log-{}", std::process::id()));
        let mut options = Options::new(5);
        options.log = Some(log.clone());
        let sim = start(&options).unwrap();
        let told = &sim.description;
        let origin = told.extended.onboarding.strip_prefix("https://").unwrap();
        // One client says half a hello and no more; the next must be served all the same.
        let mut silent = TcpStream::connect(origin).unwrap();
        silent.write_all(&[22, 3, 1]).unwrap();
        let root = ureq::tls::Certificate::from_pem(told.ca_pem.as_bytes()).unwrap();
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[root]))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let agent =
            ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(tls).build());
        let url = format!("{}/user/account/info", told.extended.rest);
        let mut reply = agent
            .get(&url)
            .header("X-Api-Key", &told.extended.api_key)
            .call()
            .unwrap();
        let text = reply.body_mut().read_to_string().unwrap();
        let account: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(account["data"]["accountId"], told.extended.account_id);

        let written = std::fs::read_to_string(&log).unwrap();
        let _ = std::fs::remove_file(&log);
        let line: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&line["venue"], &line["kind"]),
            (&"extended".into(), &"http".into())
        );
        assert_eq!(line["path"], "/api/v1/user/account/info");
        assert_eq!(line["headers"]["x-api-key"], "(withheld)");
        assert!(!written.contains(&told.extended.api_key));
    }

    #[test]
    fn a_taken_port_is_named_and_nothing_leaves_loopback() {
        let sim = start(&plain(6)).unwrap();
        let origin = sim.description.extended.onboarding.strip_prefix("http://");
        let taken: SocketAddr = origin.unwrap().parse().unwrap();
        let mut options = plain(6);
        options.listen_lighter = taken;
        let error = start(&options).err().unwrap();
        assert_eq!(error, SimError::PortTaken(taken));
        assert!(error.to_string().contains(&taken.to_string()));
        options.listen_lighter = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(start(&options), Err(SimError::NotLoopback(_))));
    }

    #[test]
    fn the_description_has_the_promised_names() {
        let sim = start(&plain(7)).unwrap();
        let told = serde_json::to_value(&sim.description).unwrap();
        let text = |path: &str| told.pointer(path).unwrap().as_str().unwrap().to_string();
        assert!(text("/extended/rest").ends_with("/api/v1"));
        assert!(text("/extended/stream").ends_with("/v1"));
        assert!(text("/extended/rpc").ends_with("/v2/rpc"));
        assert!(text("/lighter/ws").ends_with("/stream"));
        assert!(text("/l1_private_key").starts_with("0x"));
        let keys = told["lighter"]["keys"].as_array().unwrap();
        assert!(keys.len() >= 4);
        assert_eq!(keys[0]["private_key"], told["lighter"]["private_key"]);
        assert_eq!(keys[0]["index"], told["lighter"]["api_key_index"]);
        let until = sim.start.plus(60_000_000_000);
        assert!(sim.plants(until).len() >= 5);
    }
}
